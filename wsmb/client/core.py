"""What a client says and hears, without any I/O: commands out, events in, receipts, back-off."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import msgspec

from wsmb import wire
from wsmb.errors import Code, CommandError

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)

PING = b'{"command":"ping","channel":"","data":[]}'


class Answer(msgspec.Struct, tag_field="command", tag="connect", frozen=True):
    """The greeting, or the answer to a ping.

    `{"command":"connect","response_code":"00","response_text":"Accepted","data":[{"time_stamp":"…"}]}`.
    """

    response_code: str
    data: list[dict[str, object]] = []

    @property
    def is_accepted(self) -> bool:
        """Whether the broker says that all is well."""
        return self.response_code == Code.ACCEPTED.number

    @property
    def time_stamp(self) -> str:
        """When the broker answered, as it wrote it; empty if it did not say."""
        return str(self.data[0].get("time_stamp", "")) if self.data else ""


class Delivery(msgspec.Struct, tag_field="command", tag="send-message", frozen=True):
    """`{"command":"send-message","channel":"sms","data":[…]}`; `data` stays the bytes that came."""

    channel: str | int
    data: msgspec.Raw

    def lines(self) -> list[bytes]:
        """The items, each as compact JSON without a line break; what they say is not touched."""
        return [msgspec.json.format(item, indent=-1) for item in wire.items(self.data)]


Event = Answer | Delivery

_decode_event = msgspec.json.Decoder(Event).decode


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a connection was not made, or has ended. `status`: the HTTP status of a refusal."""

    reason: str
    status: int | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether trying again as the same user is of no use."""
        return self.status in REFUSALS


class Connection(Protocol):
    """An open connection, as a conversation sees it."""

    def send(self, payload: bytes) -> None:
        """Send one frame; nothing happens once the connection has ended."""

    def pace(self, producer: object) -> None:
        """Let `producer`, a push producer of Twisted's kind, be paused while much is unsent."""

    def abort(self) -> None:
        """End at once: what came and is not read yet is dropped."""


class Conversation(Protocol):
    """What is said over one connection after the other. Nothing is called after the client's stop."""

    def opened(self, connection: Connection) -> None:
        """A connection is open."""

    def received(self, event: Event) -> None:
        """The broker has said something."""

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made. The client goes on to try."""


def send_message(channel: str, item: bytes, number_of_receiver: int | None = None) -> bytes:
    """The command that sends the one `item`, which is JSON."""
    limit = b"" if number_of_receiver is None else b',"number_of_receiver":%d' % number_of_receiver
    return b'{"command":"send-message","channel":%s,"data":[%s]%s}' % (_encode(channel), item, limit)


def receive_message(channel: str) -> bytes:
    """The command that asks for what is sent to `channel`."""
    return b'{"command":"receive-message","channel":%s}' % _encode(channel)


def with_channel(channel: str | int, line: bytes) -> bytes:
    """One item together with the channel that it came on."""
    return b'{"channel":%s,"data":%s}' % (_encode(str(channel)), line)


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


def decode(payload: bytes) -> Event | None:
    """What one frame says; None for what this client does not know, as a newer broker may send."""
    try:
        event: Event = _decode_event(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    return event


class Receipts:
    """Which of the frames sent over one connection the broker has certainly carried out.

    The first answer is the greeting; each further one belongs to a ping, and stands behind all that
    was sent before that ping. No ping may be the first frame: its answer would be the greeting.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.certain = 0
        self._greeted = False
        self._pings: deque[int] = deque()

    def frame_sent(self) -> None:
        """A `send-message` went out."""
        self.sent += 1

    def ping_sent(self) -> None:
        """A ping went out."""
        self._pings.append(self.sent)

    def answered(self) -> None:
        """An answer has come."""
        if not self._greeted:
            # On a slow line it may be older than the first frame, so that it makes nothing certain.
            self._greeted = True
        elif self._pings:
            self.certain = self._pings.popleft()

    @property
    def is_settled(self) -> bool:
        """Whether no answer is missing."""
        return self._greeted and not self._pings


class Backoff:
    """How long to wait before the next attempt: each time twice as long, and never quite the same.

    `random` returns a number from 0 to 1. Without it a thousand clients would come back as one.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._longest_s = FIRST_DELAY_S

    def next_delay_s(self) -> float:
        """Half to all of the present step, which then doubles."""
        longest_s = self._longest_s
        self._longest_s = min(longest_s * 2, LONGEST_DELAY_S)
        return longest_s * (1 + self._random()) / 2

    def reset(self) -> None:
        """The broker has spoken: begin with the shortest delay again."""
        self._longest_s = FIRST_DELAY_S


_encode = msgspec.json.encode
