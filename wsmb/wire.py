"""Commands: JSON in UTF-8 -> typed values. The contract is docs/protocol.md."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from wsmb.errors import Code, CommandError

MAX_CHANNEL_CHARS = 100
MAX_ID_CHARS = 64
DEFAULT_PREFETCH = 64
MAX_PREFETCH = 10_000
MAX_DELAY_S = 86_400
MAX_DEPTH = 100
"""Of nested arrays and objects in a frame, if nothing else is set. (PHP reads 512.)"""
_FEW = 8  # brackets or commas, which most frames have not more of
_LONG_BYTES = 2_000
_TOO_LONG = 10**MAX_CHANNEL_CHARS
_FOR_EVER_S = 1e9

# Possessive, and content with a string that does not end: else one such string takes for ever.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))

Confirm = str | int | None
"""What a sender calls its command, to find it again in the answer; None if it wants no answer."""


class Ping(msgspec.Struct, tag_field="command", tag="ping", gc=False):
    """`{"command":"ping", …}`; its other fields are not looked at."""

    confirm: Confirm = None


class ReceiveMessage(msgspec.Struct, tag_field="command", tag="receive-message", gc=False):
    """`{"command":"receive-message","channel":"sms","ack":true,"prefetch":64}`.

    Without `ack` what is sent is proved by pongs.
    """

    channel: str | int
    ack: bool = False
    prefetch: int = DEFAULT_PREFETCH
    confirm: Confirm = None


class SendMessage(msgspec.Struct, tag_field="command", tag="send-message", gc=False):
    """`{"command":"send-message","channel":"sms","data":[…],"number_of_receiver":2}`.

    `data` stays the bytes that came; all but `channel` and `data` may be missing. `ttl`: seconds.
    """

    channel: str | int
    data: msgspec.Raw
    number_of_receiver: int | str | None = None
    confirm: Confirm = None
    message_id: str | None = None
    ttl: float | None = None


class AckMessage(msgspec.Struct, tag_field="command", tag="ack-message", gc=False):
    """`{"command":"ack-message","delivery":17}`, or a list of deliveries."""

    delivery: int | list[int]
    confirm: Confirm = None


class RejectMessage(msgspec.Struct, tag_field="command", tag="reject-message", gc=False):
    """`{"command":"reject-message","delivery":17,"requeue":true,"delay":5}`; `delay`: seconds."""

    delivery: int | list[int]
    requeue: bool = True
    delay: float = 0.0
    confirm: Confirm = None


class LeaveChannel(msgspec.Struct, tag_field="command", tag="leave-channel", gc=False):
    """`{"command":"leave-channel","channel":"sms"}`."""

    channel: str | int
    confirm: Confirm = None


class _Loose(msgspec.Struct, gc=False):
    """The fields of a command that is not right."""

    command: msgspec.Raw = msgspec.Raw()
    channel: msgspec.Raw = msgspec.Raw()
    confirm: msgspec.Raw = msgspec.Raw()
    message_id: msgspec.Raw = msgspec.Raw()
    ttl: msgspec.Raw = msgspec.Raw()
    ack: msgspec.Raw = msgspec.Raw()


class Addressed(NamedTuple):
    """Who wants to know that a command cannot be carried out."""

    confirm: Confirm = None
    channel: str | None = None
    is_extended: bool = False
    """Whether it asks for something that the original did not know."""


Command = Ping | ReceiveMessage | SendMessage | AckMessage | RejectMessage | LeaveChannel

_decode: Callable[[bytes], Command] = msgspec.json.Decoder(Command).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode
_decode_name = msgspec.json.Decoder(str | int | None).decode
_EXTENSIONS = {b'"ack-message"', b'"reject-message"', b'"leave-channel"'}


def decoder(max_depth: int) -> Callable[[bytes], Command]:
    """`decode` for frames that are nested so deep at most."""
    shallow_bytes = 2 * max_depth

    def decode(payload: bytes) -> Command:
        """The command in one frame's `payload`.

        Raises CommandError (MALFORMED) for what is not UTF-8, not JSON or not a known command with its
        fields. Fields that are not known are passed over.
        """
        try:
            # msgspec looks inside no raw value and no unknown field for broken UTF-8.
            if not payload.isascii():
                payload.decode()
            if len(payload) > shallow_bytes and is_deeper(payload, max_depth):
                raise CommandError(Code.MALFORMED, f"nested deeper than {max_depth}")
            return _decode(payload)
        except UnicodeDecodeError:
            raise CommandError(Code.MALFORMED, "not UTF-8") from None
        except msgspec.ValidationError:
            raise CommandError(Code.MALFORMED, "unknown command, or a field missing or wrong") from None
        except (msgspec.DecodeError, RecursionError):
            raise CommandError(Code.MALFORMED, "not JSON") from None

    return decode


decode = decoder(MAX_DEPTH)


def is_deeper(payload: bytes, depth: int) -> bool:
    """Whether arrays and objects are nested deeper; of a text that is not JSON, perhaps a wrong yes.

    What can be decoded here must be so everywhere: Python's limit depends on the calls before.
    """
    few = min(_FEW, depth // 2)
    if len(payload) > _LONG_BYTES and _has_few(payload, b"[", few) and _has_few(payload, b"{", few):
        return False
    if payload.count(b"[") + payload.count(b"{") <= depth:
        return False
    brackets = _STRINGS.sub(b"", payload).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(array("b", brackets)), default=0) > depth


def _has_few(text: bytes, byte: bytes, most: int) -> bool:
    """Whether `byte` is there `most` times or less. The C library finds one byte 20 times as fast as Python
    counts it, but each call takes its time: for short texts `count` is faster."""
    place = text.find(byte)
    while place >= 0:
        if not most:
            return False
        most -= 1
        place = text.find(byte, place + 1)
    return True


def addressed(payload: bytes) -> Addressed:
    """What can be found out about a frame that is not a command, or not one that can be carried out."""
    try:
        loose = _decode_loose(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Addressed()
    confirm, channel = _name_in(loose.confirm), _name_in(loose.channel)
    is_extended = (
        any(bytes(raw) for raw in (loose.confirm, loose.message_id, loose.ttl, loose.ack))
        or bytes(loose.command) in _EXTENSIONS
    )
    return Addressed(confirm, None if channel is None else str(channel), is_extended)


def _name_in(raw: msgspec.Raw) -> str | int | None:
    """A string or an integer of a sensible length; None for anything else."""
    try:
        value = _decode_name(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, int) and abs(value) >= _TOO_LONG:
        return None
    return None if isinstance(value, str) and len(value) > MAX_CHANNEL_CHARS else value


def channel_name(channel: str | int) -> str:
    """`channel` as its name. Raises CommandError for an empty (02) or too long (04) one."""
    name = channel if isinstance(channel, str) else _digits(channel)
    if not name:
        raise CommandError(Code.MALFORMED, "empty channel name")
    if len(name) > MAX_CHANNEL_CHARS:
        raise CommandError(Code.TOO_LARGE, f"a channel name has at most {MAX_CHANNEL_CHARS} characters")
    return name


def _digits(number: int) -> str:
    # str() of an integer of more than 4,300 digits raises ValueError; 10**100 has too many anyway.
    return str(number) if abs(number) < _TOO_LONG else "9" * (MAX_CHANNEL_CHARS + 1)


def receiver_limit(number_of_receiver: int | str) -> int:
    """How many receivers a frame asks for; 0 is every receiver. The sign is ignored, as ever."""
    if isinstance(number_of_receiver, int):
        return abs(number_of_receiver)
    digits = number_of_receiver[1:] if number_of_receiver[:1] in ("+", "-") else number_of_receiver
    if not (digits.isascii() and digits.isdigit()):
        raise CommandError(Code.MALFORMED, "number_of_receiver is not a number")
    # More than there can be is every receiver; int() refuses more than 4,300 digits.
    return int(digits) if len(digits) <= 18 else 0


def check_confirm(confirm: str | int) -> None:
    """Raises CommandError (04) for a `confirm` that is longer than an answer should be."""
    too_long = len(confirm) > MAX_CHANNEL_CHARS if isinstance(confirm, str) else abs(confirm) >= _TOO_LONG
    if too_long:
        raise CommandError(Code.TOO_LARGE, f"confirm has at most {MAX_CHANNEL_CHARS} characters")


def message_id(text: str) -> str:
    """`text` as a message id. Raises CommandError for an empty (02) or too long (04) one."""
    if not text:
        raise CommandError(Code.MALFORMED, "empty message_id")
    if len(text) > MAX_ID_CHARS:
        raise CommandError(Code.TOO_LARGE, f"message_id has at most {MAX_ID_CHARS} characters")
    return text


def time_to_live(ttl: float) -> float | None:
    """Seconds; None for what is as good as for ever. Raises CommandError for less than 0."""
    if ttl < 0:
        raise CommandError(Code.MALFORMED, "ttl is less than 0")
    return ttl if ttl < _FOR_EVER_S else None


def prefetch(number: int) -> int:
    """How many frames may be outstanding. Raises CommandError for less than 1."""
    if number < 1:
        raise CommandError(Code.MALFORMED, "prefetch is less than 1")
    return min(number, MAX_PREFETCH)


def delay(seconds: float) -> float:
    """Seconds to wait before the next try. Raises CommandError for what is not from 0 to a day."""
    if not 0 <= seconds <= MAX_DELAY_S:
        raise CommandError(Code.MALFORMED, f"delay is not from 0 to {MAX_DELAY_S}")
    return seconds


def deliveries(delivery: int | list[int]) -> Sequence[int]:
    """The numbers in an acknowledgement."""
    return (delivery,) if isinstance(delivery, int) else delivery


def items(data: msgspec.Raw) -> list[bytes]:
    """The items in a frame's `data`: the elements of an array, or the one value that it is."""
    raw = bytes(data)
    if raw.lstrip()[:1] != b"[":
        return [raw]
    return [bytes(item) for item in _decode_items(raw)]


def check_items(data: msgspec.Raw, most: int) -> None:
    """Raises CommandError (04) for more than `most` items in a frame's `data`."""
    # Between two items there is a comma, but not each comma is between two items.
    text = bytes(data)
    if not _has_few(text, b",", min(_FEW, most - 1)) and text.count(b",") >= most and len(items(data)) > most:
        raise CommandError(Code.TOO_LARGE, f"a frame has at most {most} items")


def expiry(item: bytes, field: str) -> float | None:
    """The Unix time in the item's own `field`; None if it has none (no object, no number)."""
    try:
        value = msgspec.json.decode(item, type=dict[str, msgspec.Raw]).get(field)
        return None if value is None else float(msgspec.json.decode(value, type=float | str))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
