"""What a client hears, without any I/O: events, what they make certain, back-off."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import msgspec

from wsmb import wire
from wsmb.errors import Code

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
LONGEST_WAIT_S = 300.0
MAX_DIGITS = 19
PASSING_STATUSES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


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


class Confirm(msgspec.Struct, tag_field="command", tag="confirm", frozen=True):
    """The answer to a command that asked for one.

    `{"command":"confirm","confirm":7,"response_code":"00","response_text":"Accepted","data":[…]}`.
    """

    confirm: str | int
    response_code: str
    response_text: str = ""
    data: list[dict[str, object]] = []

    @property
    def is_accepted(self) -> bool:
        """Whether the command was carried out."""
        return self.response_code == Code.ACCEPTED.number


class Refusal(msgspec.Struct, tag_field="command", tag="error", frozen=True):
    """A command that asked for no confirm was not carried out.

    `{"command":"error","response_code":"07","response_text":"Unknown delivery: 3","data":[…]}`.
    """

    response_code: str
    response_text: str = ""
    data: list[dict[str, object]] = []

    @property
    def channel(self) -> str:
        """The channel that it is about; empty if it names none."""
        return str(self.data[0].get("channel", "")) if self.data else ""


class Delivery(msgspec.Struct, tag_field="command", tag="send-message", frozen=True):
    """`{"command":"send-message","channel":"sms","data":[…],"delivery":17,"redelivered":true}`.

    The last two are there only if asked for. A sender may have put in fields of the same names, with
    anything in them; those of the broker come last, and the last ones count.
    """

    channel: str | int
    data: msgspec.Raw
    delivery: msgspec.Raw = msgspec.Raw()
    redelivered: msgspec.Raw = msgspec.Raw()

    @property
    def number(self) -> int | None:
        """By which to acknowledge it; None if it is not to be acknowledged."""
        raw = bytes(self.delivery)
        return int(raw) if raw.isdigit() and len(raw) < MAX_DIGITS else None

    @property
    def is_redelivered(self) -> bool:
        """Whether this is not the first try."""
        return bytes(self.redelivered) == b"true"

    def lines(self) -> list[bytes]:
        """The items, each as compact JSON without a line break; what they say is not touched."""
        return [msgspec.json.format(item, indent=-1) for item in wire.items(self.data)]


Event = Answer | Confirm | Refusal | Delivery

_decode_event = msgspec.json.Decoder(Event).decode


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a connection was not made, or has ended.

    `status`: the HTTP status of a refusal; `retry_after_s`: before which not to come again; `close_code`:
    that of the broker's Close frame; `is_untrusted`: the broker's certificate is not good.
    """

    reason: str
    status: int | None = None
    retry_after_s: float = 0.0
    close_code: int | None = None
    is_untrusted: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether the same request would be refused again: by all of 4xx that does not say otherwise."""
        if self.status is None or self.status in PASSING_STATUSES:
            return False
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_final(self) -> bool:
        """Whether a client that has not been connected yet need not try again."""
        return self.is_refusal or self.is_untrusted


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


def with_channel(channel: str | int, line: bytes) -> bytes:
    """One item together with the channel that it came on."""
    return b'{"channel":%s,"data":%s}' % (_encode(str(channel)), line)


def decode(payload: bytes) -> Event | None:
    """What one frame says; None for what this client does not know, as a newer broker may send."""
    try:
        event: Event = _decode_event(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    return event


class Receipts:
    """Which of the frames sent over one connection the broker has certainly carried out.

    Each frame asks for a confirm. The original broker knows none. There the first answer is the
    greeting; each further one belongs to a ping, and stands behind all that was sent before that ping.
    No ping may be the first frame: its answer would be the greeting. Confirms come before the answer to
    a later ping, so that one answered without any before it shows what kind of broker it is.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.certain = 0
        self.refused = 0
        self.has_confirms = False
        """Whether the broker confirms, as far as is known."""
        self._greeted = False
        self._pings: deque[int] = deque()

    def frame_sent(self) -> None:
        """A `send-message` went out."""
        self.sent += 1

    def ping_sent(self) -> None:
        """A ping went out."""
        self._pings.append(self.sent)

    def confirmed(self, *, is_accepted: bool) -> None:
        """A frame was carried out, or refused."""
        self.has_confirms = True
        if is_accepted:
            self.certain += 1
        else:
            self.refused += 1

    def answered(self) -> None:
        """An answer has come."""
        if not self._greeted:
            # On a slow line it may be older than the first frame, so that it makes nothing certain.
            self._greeted = True
        elif self._pings:
            behind = self._pings.popleft()
            if not self.has_confirms:
                self.certain = behind

    @property
    def is_settled(self) -> bool:
        """Whether no answer is missing."""
        return self._greeted and not self._pings

    @property
    def is_complete(self) -> bool:
        """Whether it is known of each frame what has become of it."""
        return self.certain + self.refused == self.sent


class Backoff:
    """How long to wait before the next attempt: each time twice as long, and never quite the same.

    `random` returns a number from 0 to 1. Without it a thousand clients would come back as one.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._longest_s = FIRST_DELAY_S

    def next_delay_s(self, at_least_s: float = 0.0) -> float:
        """Half to all of the present step, which then doubles.

        `at_least_s`: what the broker asks for (Retry-After); more than LONGEST_WAIT_S is not heeded.
        """
        longest_s = self._longest_s
        self._longest_s = min(longest_s * 2, LONGEST_DELAY_S)
        return min(at_least_s, LONGEST_WAIT_S) + longest_s * (1 + self._random()) / 2

    def reset(self) -> None:
        """The broker has spoken: begin with the shortest delay again."""
        self._longest_s = FIRST_DELAY_S


_encode = msgspec.json.encode
