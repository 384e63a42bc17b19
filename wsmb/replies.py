"""What the broker says by itself, as JSON in UTF-8. The contract is docs/protocol.md."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wsmb.errors import Code, CommandError

_encode = msgspec.json.encode


def greeting(code: Code, time_stamp: str) -> bytes:
    """The greeting, which is also the answer to a ping. `time_stamp`: ISO 8601 in UTC."""
    return b'{"command":"connect","response_code":"%s","response_text":"%s","data":[{"time_stamp":"%s"}]}' % (
        code.number.encode(),
        code.text.encode(),
        time_stamp.encode(),
    )


def confirmed(confirm: str | int, time_stamp: str) -> bytes:
    """The answer to a command that has been carried out."""
    return _CONFIRM % (_encode(confirm), b"00", b"Accepted", time_stamp.encode(), b"")


def sent(confirm: str | int, time_stamp: str, receivers: int, stored: int, is_duplicate: bool) -> bytes:
    """The answer to a `send-message` that has been carried out."""
    counts = b',"receivers":%d,"stored":%d' % (receivers, stored)
    if is_duplicate:
        counts += b',"duplicate":true'
    return _CONFIRM % (_encode(confirm), b"00", b"Accepted", time_stamp.encode(), counts)


def refused(confirm: str | int, time_stamp: str, problem: CommandError) -> bytes:
    """The answer to a command that cannot be carried out, if it asked for one."""
    code, text = problem.code.number.encode(), _encode(str(problem))[1:-1]
    return _CONFIRM % (_encode(confirm), code, text, time_stamp.encode(), b"")


def error(time_stamp: str, problem: CommandError, channel: str | None) -> bytes:
    """What is said of a command that cannot be carried out and asked for no answer."""
    where = b"" if channel is None else b',"channel":' + _encode(channel)
    return _ERROR % (
        problem.code.number.encode(),
        _encode(str(problem))[1:-1],
        time_stamp.encode(),
        where,
    )


_CONFIRM = (
    b'{"command":"confirm","confirm":%s,"response_code":"%s","response_text":"%s",'
    b'"data":[{"time_stamp":"%s"%s}]}'
)
_ERROR = b'{"command":"error","response_code":"%s","response_text":"%s","data":[{"time_stamp":"%s"%s}]}'


def waiting(channel: str, items: Iterable[bytes]) -> bytes:
    """A `send-message` with items that were waiting."""
    return b'{"command":"send-message","channel":%s,"data":[%s]}' % (_encode(channel), b",".join(items))


def numbered(payload: bytes, delivery: int, is_redelivered: bool) -> bytes:
    """The JSON object `payload` with the number of its delivery at its end."""
    end = b',"delivery":%d,"redelivered":true}' if is_redelivered else b',"delivery":%d}'
    return payload.rstrip()[:-1] + end % delivery


def dead_letter(
    item: bytes, *, channel: str, reason: str, deliveries: int, receiver: str, time_stamp: str
) -> bytes:
    """An item that nobody could take, with why, how often it was tried, and who had it last."""
    return b'{"item":%s,"channel":%s,"reason":"%s","deliveries":%d,"receiver":%s,"time_stamp":"%s"}' % (
        item,
        _encode(channel),
        reason.encode(),
        deliveries,
        _encode(receiver),
        time_stamp.encode(),
    )
