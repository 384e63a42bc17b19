"""An item as environment variables of a command. No I/O.

Names are made of A-Z, 0-9 and _ only, behind a prefix of ours, so that no item can set a variable that a
shell or a program heeds (PATH, LD_PRELOAD, a function of bash). What does not fit is left out, never cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

PREFIX = b"WSMB_"
ORIGINAL_PREFIX = b"MQ_"
MAX_NAME_CHARS = 100
MAX_VALUE_BYTES = 100_000
"""Linux takes 131,072 bytes for a variable with its name."""
MAX_BYTES = 500_000
"""For all of an item. Linux takes 2 MiB with everything else, others 1 MiB."""

_PLAIN = bytes(byte if chr(byte).isalnum() and byte < 128 else ord("_") for byte in bytes(range(256)).upper())
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def without_ours(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What a command inherits: nothing of the broker's or the client's settings, which hold passwords."""
    return {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith((PREFIX, ORIGINAL_PREFIX))
    }


def item_environment(channel: str, item: bytes, *, is_redelivered: bool) -> dict[bytes, bytes]:
    """The variables for one item, which is JSON: its channel, its fields, or itself if it has none."""
    variables = {b"WSMB_CHANNEL": channel.encode(), b"WSMB_REDELIVERED": b"1" if is_redelivered else b"0"}
    room = MAX_BYTES
    for name, value in _scalars(item):
        size = len(name) + len(value)
        if name not in variables and b"\0" not in value and len(value) <= MAX_VALUE_BYTES and size <= room:
            variables[name] = value
            room -= size
    return variables


def _scalars(item: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not item.startswith(b"{"):
        value = _scalar(item)
        if value is not None:
            yield b"WSMB_ITEM", value
        return
    for field, raw in _fields(item).items():
        value = _scalar(bytes(raw))
        if value is not None and 0 < len(field) <= MAX_NAME_CHARS:
            yield b"WSMB_ITEM_" + field.encode("ascii", "replace").translate(_PLAIN), value


def _scalar(raw: bytes) -> bytes | None:
    """A string's characters; a number, true and false as they are written; None for all else."""
    if raw.startswith(b'"'):
        return _text(raw).encode()
    return None if raw[:1] in b"{[n" else raw
