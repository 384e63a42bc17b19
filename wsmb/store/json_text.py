"""JSON texts as they stand in a database column, and as they leave it."""

from __future__ import annotations

import json
import re

import msgspec

_NON_ASCII = re.compile("[^\x00-\x7f]+")


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match.group())[1:-1]


def to_ascii(item: bytes) -> str:
    r"""The JSON text `item` (UTF-8) with every non-ASCII character as a \uXXXX escape.

    The original's table is latin1: only ASCII comes out of it as it went in. Such characters stand
    only inside strings, so that an escape is always allowed there. Raises UnicodeDecodeError.
    """
    if item.isascii():
        return item.decode("ascii")
    return _NON_ASCII.sub(_escaped, item.decode("utf-8"))


def as_bytes(value: object) -> bytes | None:
    """What a driver gives for a text column, as UTF-8; None for NULL and for what is not text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) else None


def from_column(value: object) -> bytes | None:
    """The JSON text in a data column as UTF-8, None if it is not one (somebody wrote by hand)."""
    data = as_bytes(value)
    if data is None:
        return None
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        data.decode("utf-8")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return data
