"""Messages of connections with the channel in their URL: any text, there; a JSON value, everywhere else."""

from __future__ import annotations

import msgspec

from wsmb import replies, wire
from wsmb.deliveries import Message
from wsmb.interfaces import Peer

_DEPTH_AROUND = 2
"""Of a `send-message`: an object and an array are around each item."""
_WHITESPACE = b" \t\r\n"

_decode = msgspec.json.Decoder().decode
_decode_string = msgspec.json.Decoder(str).decode
_encode = msgspec.json.encode


def text_message(name: str, text: bytes, limit: int, sender: Peer, max_depth: int) -> Message:
    """What `sender` has sent as a mere `text` (UTF-8) on the channel `name`; `max_depth`: of a frame."""
    item = json_value(text, max_depth - _DEPTH_AROUND)
    return Message(replies.waiting(name, (item,)), (item,), limit, sender, texts=(text,))


def json_value(text: bytes, max_depth: int) -> bytes:
    """`text` (UTF-8) itself without the space around it, if it is a JSON value; else as a JSON string.

    JSON by its grammar that not every receiver can read is taken for text as well: half a surrogate pair,
    numbers that fit no double, more than `max_depth` of nesting. One such item would cost a receiver the
    whole frame.
    """
    value = text.strip(_WHITESPACE)
    try:
        if not wire.is_deeper(value, max_depth):
            _decode(value)
            return value
    except (msgspec.MsgspecError, RecursionError):
        pass
    return _encode(text.decode())


def text_of(item: bytes) -> bytes:
    """An item of the store as a text: what a string says, and all else as the JSON that it is."""
    if item[:1] != b'"':
        return item
    try:
        return _decode_string(item).encode()
    except (msgspec.MsgspecError, UnicodeError):
        return item
