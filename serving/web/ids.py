"""Ids as they come in an address, decoded strictly: byte for byte what was asked, or refused."""

from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

from serving.web.problems import FieldError, malformed

ID_LENGTH_MAX = 256
CONTROL_CHARACTERS = frozenset(range(0x20)) | frozenset(range(0x7F, 0xA0))


class _IdConvertor(Convertor[str]):
    """A path parameter that may hold anything, slashes and line breaks included; `id_in_path` reads it."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("customer_id", _IdConvertor())
register_url_convertor("product_id", _IdConvertor())


def id_in_path(raw_path: bytes, *, before: bytes, after: bytes, name: str = "customer_id") -> str:
    """Return the id between two parts of a raw (still percent-encoded) path.

    Slashes belong to the id, encoded or not. Raises a 422 problem where it is no id.

    >>> id_in_path(b"/v1/customers/a%2Fb/predictions", before=b"/v1/customers/", after=b"/predictions")
    'a/b'
    """
    path = raw_path.partition(b"?")[0]
    if not (path.startswith(before) and path.endswith(after)):
        raise _refused("path", "encoding", "only the id may be percent-encoded")
    return read_id(path[len(before) : len(path) - len(after)], pointer=f"/path/{name}")


def id_in_query(query: bytes, name: str) -> str:
    """Return the id in a query string; raises a 422 problem where it is missing or no id.

    A `+` is a space, as HTML forms write it.

    >>> id_in_query(b"customer_id=00123", "customer_id")
    '00123'
    """
    found = ids_in_query(query, name)
    if not found:
        raise _refused(f"/query/{name}", "missing", f"name a {name.removesuffix('_id')}")
    return found[0]


def ids_in_query(query: bytes, name: str, *, count_max: int | None = None) -> tuple[str, ...]:
    """Return every id that a query string gives a name, in its order.

    Raises a 422 problem for what is no id, and for more than `count_max` of them.

    >>> ids_in_query(b"exclude=00123&limit=3&exclude=a%2Fb", "exclude", count_max=10)
    ('00123', 'a/b')
    """
    pointer = f"/query/{name}"
    pairs = (part.partition(b"=") for part in query.split(b"&"))
    values = [value for key, _, value in pairs if unquote_to_bytes(key) == name.encode()]
    if count_max is not None and len(values) > count_max:
        raise _refused(pointer, "too_many", f"at most {count_max} ids")
    return tuple(read_id(value.replace(b"+", b" "), pointer=pointer) for value in values)


def read_id(encoded: bytes, *, pointer: str) -> str:
    """Decode a percent-encoded id; a 422 problem unless it has 1–256 characters, none of them a control."""
    try:
        value = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(pointer, "encoding", "an id is percent-encoded UTF-8") from None
    check_id(value, pointer=pointer)
    return value


def is_id(value: str) -> bool:
    """Say whether a text has 1–256 characters, none of them a control."""
    return 1 <= len(value) <= ID_LENGTH_MAX and not any(ord(each) in CONTROL_CHARACTERS for each in value)


def check_id(value: str, *, pointer: str) -> None:
    """Raise a 422 problem unless a text has 1–256 characters, none of them a control."""
    if not 1 <= len(value) <= ID_LENGTH_MAX:
        raise _refused(pointer, "length", f"an id has 1 to {ID_LENGTH_MAX} characters")
    if not is_id(value):
        raise _refused(pointer, "control_character", "an id has no control characters")


def _refused(pointer: str, code: str, message: str) -> Exception:
    return malformed(FieldError(pointer, code, message))
