"""What a client says: the commands of docs/protocol.md as bytes. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wsmb import wire
from wsmb.errors import CommandError

PING = b'{"command":"ping","channel":"","data":[]}'


def send_message(
    channel: str,
    item: bytes,
    number_of_receiver: int | None = None,
    *,
    confirm: str | int | None = None,
    message_id: str | None = None,
    ttl_s: float | None = None,
) -> bytes:
    """The command that sends `item`, which is JSON; or several, with commas between them."""
    rest = b"" if number_of_receiver is None else b',"number_of_receiver":%d' % number_of_receiver
    if message_id is not None:
        rest += b',"message_id":' + _encode(message_id)
    if ttl_s is not None:
        rest += b',"ttl":' + _encode(ttl_s)
    return b'{"command":"send-message","channel":%s,"data":[%s]%s%s}' % (
        _encode(channel),
        item,
        rest,
        _confirm(confirm),
    )


def receive_message(channel: str, *, prefetch: int | None = None, confirm: str | int | None = None) -> bytes:
    """The command that asks for what is sent to `channel`.

    With `prefetch` frames are to be acknowledged, and not more than so many are outstanding.
    """
    ack = b"" if prefetch is None else b',"ack":true,"prefetch":%d' % prefetch
    return b'{"command":"receive-message","channel":%s%s%s}' % (_encode(channel), ack, _confirm(confirm))


def ack_message(deliveries: Sequence[int], confirm: str | int | None = None) -> bytes:
    """These frames have been dealt with."""
    return b'{"command":"ack-message","delivery":%s%s}' % (_encode(deliveries), _confirm(confirm))


def reject_message(
    deliveries: Sequence[int], confirm: str | int | None = None, *, delay_s: float | None = 0.0
) -> bytes:
    """These frames are to be delivered again after `delay_s`, or not at all (None)."""
    terms = b',"requeue":false' if delay_s is None else b',"delay":%s' % _encode(delay_s) if delay_s else b""
    return b'{"command":"reject-message","delivery":%s%s%s}' % (_encode(deliveries), terms, _confirm(confirm))


def leave_channel(channel: str, confirm: str | int | None = None) -> bytes:
    """Nothing more of `channel`; what has come can still be acknowledged."""
    return b'{"command":"leave-channel","channel":%s%s}' % (_encode(channel), _confirm(confirm))


def ping(confirm: str | int) -> bytes:
    """A ping whose answer is followed by a confirm."""
    return PING[:-1] + _confirm(confirm) + b"}"


def _confirm(confirm: str | int | None) -> bytes:
    return b"" if confirm is None else b',"confirm":' + _encode(confirm)


def text_item(text: bytes) -> bytes:
    """Plain text as the JSON string that says it. Raises UnicodeDecodeError for what is not UTF-8."""
    return _encode(text.decode())


def json_item(text: bytes) -> bytes:
    """`text` as one item, its bytes as they are. Raises ValueError for what is not one JSON value."""
    try:
        # msgspec looks inside no raw value for broken UTF-8.
        text.decode()
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    return text.strip()


def check_channel(channel: str) -> str:
    """`channel`, if it is the name of one. Raises ValueError, which says why not."""
    try:
        channel.encode()
        return wire.channel_name(channel)
    except CommandError as error:
        raise ValueError(error.detail) from None
    except UnicodeEncodeError:
        raise ValueError("a channel name that is not UTF-8") from None


def check_message_id(text: str) -> str:
    """`text`, if it can be a message id. Raises ValueError, which says why not."""
    try:
        text.encode()
        return wire.message_id(text)
    except CommandError as error:
        raise ValueError(error.detail) from None
    except UnicodeEncodeError:
        raise ValueError("a message id that is not UTF-8") from None


_encode = msgspec.json.encode
