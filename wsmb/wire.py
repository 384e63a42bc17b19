"""Commands and replies: JSON in UTF-8 <-> typed values. The contract is docs/protocol.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from wsmb.errors import Code, CommandError

MAX_CHANNEL_CHARS = 100


class Ping(msgspec.Struct, tag_field="command", tag="ping", gc=False):
    """`{"command":"ping", …}`; its other fields are not looked at."""


class ReceiveMessage(msgspec.Struct, tag_field="command", tag="receive-message", gc=False):
    """`{"command":"receive-message","channel":"sms", …}`."""

    channel: str | int


class SendMessage(msgspec.Struct, tag_field="command", tag="send-message", gc=False):
    """`{"command":"send-message","channel":"sms","data":[…],"number_of_receiver":2}`.

    `data` stays the bytes that came; `number_of_receiver` may be missing.
    """

    channel: str | int
    data: msgspec.Raw
    number_of_receiver: int | str | None = None


Command = Ping | ReceiveMessage | SendMessage

_decode: Callable[[bytes], Command] = msgspec.json.Decoder(Command).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode(payload: bytes) -> Command:
    """The command in one frame's `payload`.

    Raises CommandError (MALFORMED) for what is not UTF-8, not JSON or not a known command with its
    fields. What an extension of the protocol may add is passed over.
    """
    try:
        # msgspec looks inside no raw value and no unknown field for broken UTF-8.
        if not payload.isascii():
            payload.decode()
        return _decode(payload)
    except UnicodeDecodeError:
        raise CommandError(Code.MALFORMED, "not UTF-8") from None
    except msgspec.ValidationError:
        raise CommandError(Code.MALFORMED, "unknown command, or a field missing or wrong") from None
    except (msgspec.DecodeError, RecursionError):
        raise CommandError(Code.MALFORMED, "not JSON") from None


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
    return str(number) if abs(number) < 10**MAX_CHANNEL_CHARS else "9" * (MAX_CHANNEL_CHARS + 1)


def receiver_limit(number_of_receiver: int | str) -> int:
    """How many receivers a frame asks for; 0 is every receiver. The sign is ignored, as ever."""
    if isinstance(number_of_receiver, int):
        return abs(number_of_receiver)
    digits = number_of_receiver[1:] if number_of_receiver[:1] in ("+", "-") else number_of_receiver
    if not (digits.isascii() and digits.isdigit()):
        raise CommandError(Code.MALFORMED, "number_of_receiver is not a number")
    # More than there can be is every receiver; int() refuses more than 4,300 digits.
    return int(digits) if len(digits) <= 18 else 0


def items(data: msgspec.Raw) -> list[bytes]:
    """The items in a frame's `data`: the elements of an array, or the one value that it is."""
    raw = bytes(data)
    if raw.lstrip()[:1] != b"[":
        return [raw]
    return [bytes(item) for item in _decode_items(raw)]


def greeting(code: Code, time_stamp: str) -> bytes:
    """The greeting, which is also the answer to a ping. `time_stamp`: ISO 8601 in UTC."""
    return b'{"command":"connect","response_code":"%s","response_text":"%s","data":[{"time_stamp":"%s"}]}' % (
        code.number.encode(),
        code.text.encode(),
        time_stamp.encode(),
    )


def waiting(channel: str, waiting_items: Iterable[bytes]) -> bytes:
    """A `send-message` with items that were waiting."""
    return b'{"command":"send-message","channel":%s,"data":[%s]}' % (
        msgspec.json.encode(channel),
        b",".join(waiting_items),
    )
