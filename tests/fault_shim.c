/* What a full or broken disk does, to one process: the n-th change below a folder fails, or kills.
 *
 * Preloaded (LD_PRELOAD); fault_arm(folder, n, kind) begins to count. Kinds: 1 fails once with EIO, 2 fails from
 * then on with ENOSPC, 3 kills as kill -9 does. fault_count() says how many changes were asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char under[4096];
static atomic_int armed, count;
static int fails_at, kind;

void fault_arm(const char *folder, int at, int how) {
    snprintf(under, sizeof under, "%s", folder);
    fails_at = at;
    kind = how;
    count = 0;
    armed = 1;
}

int fault_count(void) {
    armed = 0;
    return count;
}

static int strikes(const char *path) {
    if (!armed || !path || strncmp(path, under, strlen(under))) return 0;
    int now = atomic_fetch_add(&count, 1) + 1;
    if (now < fails_at || (kind != 2 && now != fails_at)) return 0;
    if (kind == 3) kill(getpid(), SIGKILL);
    errno = kind == 2 ? ENOSPC : EIO;
    return 1;
}

static int strikes_fd(int fd) {
    char link[64], path[4096];
    if (!armed) return 0;
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return strikes(path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
#define OF_FD(type, name, params, args, ...) \
    type name params { return strikes_fd(fd) ? -1 : REAL(type, name, __VA_ARGS__) args; }
#define OF_PATH(name, params, args, ...) \
    int name params { return strikes(path) ? -1 : REAL(int, name, __VA_ARGS__) args; }

OF_FD(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), int, const void *, size_t)
OF_FD(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), int, const void *, size_t, off_t)
OF_FD(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), int, const void *, size_t, off64_t)
OF_FD(int, fsync, (int fd), (fd), int)
OF_FD(int, fdatasync, (int fd), (fd), int)
OF_FD(int, ftruncate, (int fd, off_t n), (fd, n), int, off_t)
OF_FD(int, ftruncate64, (int fd, off64_t n), (fd, n), int, off64_t)
OF_PATH(rename, (const char *path, const char *to), (path, to), const char *, const char *)
OF_PATH(unlink, (const char *path), (path), const char *)
OF_PATH(mkdir, (const char *path, mode_t mode), (path, mode), const char *, mode_t)

static int opens(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    return (flags & O_CREAT) && strikes(path) ? -1 : real(path, flags, mode);
}
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return opens((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name), path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
