"""A real standalone cluster on this machine's loopback: a master and its workers, each a Java process."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WAIT_SECONDS = 120
_PACKAGE = "org.apache.spark.deploy"


@dataclass
class SparkCluster:
    """Started processes and where they answer; `stop` ends them by their ids.

    `logs` is a folder of event logs, one file an application, if it runs with `environment()`.
    """

    folder: Path
    memory: str = "600m"
    hidden: Path | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    master: str = ""

    def __post_init__(self) -> None:
        self.port, self.page_port = _free_port(), _free_port()
        self.master = f"spark://127.0.0.1:{self.port}"
        self.logs = self.folder / "events"
        self.logs.mkdir(parents=True)

    def start(self, worker_count: int) -> None:
        """Start the master, then workers of one core each, and wait until all are there."""
        ports = ["--port", str(self.port), "--webui-port", str(self.page_port)]
        self._run("master", f"{_PACKAGE}.master.Master", "--host", "127.0.0.1", *ports)
        self._await(lambda: self._told() is not None)
        for number in range(worker_count):
            room = ["--cores", "1", "--memory", self.memory, "--work-dir", str(self.folder / f"work{number}")]
            words = ["--host", "127.0.0.1", "--webui-port", str(_free_port()), *room, self.master]
            self._run(f"worker{number}", f"{_PACKAGE}.worker.Worker", *words)
        self._await(lambda: len((self._told() or {"workers": []})["workers"]) == worker_count)

    def stop(self) -> None:
        """End every process, workers first."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def environment(self) -> dict[str, str]:
        """Return what a process needs to compute here, and to leave its event log in `logs`."""
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        lines = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self.logs.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        (conf / "spark-defaults.conf").write_text(text)
        return {
            "SPARK_MASTER": self.master,
            "SPARK_EXECUTOR_MEMORY": "512m",
            "SPARK_DRIVER_MEMORY": "600m",
            "SPARK_CONF_DIR": str(conf),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind (`SparkListenerTaskEnd`) of every application that ran."""
        rows = [json.loads(text) for path in self.logs.iterdir() for text in path.read_text().splitlines()]
        return [row for row in rows if row["Event"] == kind]

    def _run(self, name: str, *words: str) -> None:
        import pyspark

        command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), *words]
        if self.hidden is not None and name != "master":
            # In a room of its own, where an empty folder lies over the hidden one.
            script = 'mount -t tmpfs none "$0" && exec "$@"'
            command = [
                "unshare",
                "--mount",
                "--map-root-user",
                "sh",
                "-c",
                script,
                str(self.hidden),
                *command,
            ]
        own = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=self.folder)
            )

    def _told(self) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}/json/", timeout=5) as answer:
                told: dict[str, Any] = json.load(answer)
                return told
        except (OSError, ValueError):  # its page is not there yet, or not all of it
            return None

    def _await(self, is_there: Any) -> None:
        until = time.monotonic() + _WAIT_SECONDS
        while not is_there():
            dead = [process.args for process in self.processes if process.poll() is not None]
            assert not dead, f"ended early: {dead}; see {self.folder}/*.log"
            assert time.monotonic() < until, f"the cluster does not come up; see {self.folder}/*.log"
            time.sleep(0.25)


@contextmanager
def spark_cluster(
    folder: Path, *, worker_count: int = 2, memory: str = "600m", hidden: Path | None = None
) -> Iterator[SparkCluster]:
    """Run a cluster; its workers do not see the folder `hidden`."""
    cluster = SparkCluster(folder, memory, hidden)
    try:
        cluster.start(worker_count)
        yield cluster
    finally:
        cluster.stop()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
