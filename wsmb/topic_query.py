"""The channel in a request's URL: `?topic=NAME` or `?channel=NAME`, and perhaps `role=receiver`.

Read as forms are (and as PHP does): percent-encoded UTF-8, `+` is a space. Other keys are not looked at.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from wsmb.settings import MAX_NAME_CHARS

_KEYS = ("topic", "channel")
_ROLE = "role"
_RECEIVER = "receiver"
_HEX = frozenset("0123456789abcdefABCDEF")


class QueryError(ValueError):
    """What is wrong with a query. Its text holds nothing of the query."""


class Topic(NamedTuple):
    """What the URL says."""

    name: str
    """The channel."""
    is_receiver: bool
    """Whether it says that this is a receiver."""


def read_topic(uri: str) -> Topic | None:
    """The channel in a request's URI (its bytes as Latin-1); None if there is none.

    Raises QueryError.
    """
    fields: dict[str, list[str]] = {}
    for pair in urlsplit(uri).query.split("&"):
        key, _, value = pair.partition("=")
        if key in (*_KEYS, _ROLE):
            fields.setdefault(key, []).append(value)
    named = [key for key in _KEYS if key in fields]
    if not named:
        return None
    for key, values in fields.items():
        if len(values) > 1:
            raise QueryError(f"{key} is given twice")
    if len(named) > 1:
        raise QueryError("topic and channel are both given; give one of them")
    is_receiver = _ROLE in fields
    if is_receiver and fields[_ROLE] != [_RECEIVER]:
        raise QueryError("role is not receiver; give role=receiver, or no role")
    return Topic(_name(named[0], fields[named[0]][0]), is_receiver)


def _name(key: str, value: str) -> str:
    if any(not _HEX.issuperset(part[:2]) or len(part) < 2 for part in value.split("%")[1:]):
        raise QueryError(f"{key} is not percent-encoded; a % is written as %25")
    try:
        name = unquote_to_bytes(value.replace("+", " ").encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise QueryError(f"{key} is not UTF-8") from None
    if not name:
        raise QueryError(f"{key} is empty")
    if len(name) > MAX_NAME_CHARS:
        raise QueryError(f"{key} has more than {MAX_NAME_CHARS} characters")
    return name
