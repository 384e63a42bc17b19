"""The Peer of a session that no WebSocket belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from wsmb import frames, wire
from wsmb.broker import Broker
from wsmb.errors import CloseCode, Code
from wsmb.frames import Bundle
from wsmb.session import Session

Soon = Callable[[Callable[[], None]], object]
"""Calls what it is given in a later turn of the reactor."""
_NUMBERED = re.compile(rb',"delivery":([0-9]+)(,"redelivered":true)?\}\Z')


class Delivered(NamedTuple):
    """A frame that is to be acknowledged."""

    number: int
    data: bytes
    """A JSON array of items."""
    items: list[bytes]
    is_redelivered: bool
    size_bytes: int


class Said(msgspec.Struct, frozen=True):
    """What the broker says of a command, or by itself: see docs/protocol.md."""

    response_code: str
    response_text: str
    data: list[dict[str, object]]

    @property
    def is_accepted(self) -> bool:
        """Whether it was carried out."""
        return self.response_code == Code.ACCEPTED.number


Heard = Callable[[Delivered | Said], None]


class _Payload(msgspec.Struct):
    data: msgspec.Raw


_decode_payload = msgspec.json.Decoder(_Payload).decode
_decode_said = msgspec.json.Decoder(Said).decode


def understand(payload: bytes) -> Delivered | Said:
    """What a frame says to who acknowledges all that it is sent.

    The number is at the end of the frame, where the broker has put it (replies.numbered): the sender may
    have written fields of the same names before. What the broker says by itself never ends so.
    """
    numbered = _NUMBERED.search(payload)
    if numbered is None:
        return _decode_said(payload)
    data = bytes(_decode_payload(payload).data)
    if data[:1] != b"[":
        data = b"[%s]" % data
    return Delivered(
        int(numbered[1]), data, wire.items(msgspec.Raw(data)), numbered[2] is not None, len(payload)
    )


class ItemCounts:
    """Items that all visitors together have sent and received since the start."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.sent = self.received = 0


class Visitor:
    """One session. `heard` gets what it is sent, in a later turn than it was said in."""

    def __init__(
        self,
        broker: Broker,
        time_stamp: Callable[[], str],
        user: str,
        soon: Soon,
        heard: Heard,
        counts: ItemCounts,
        most_bytes: int = 0,
    ) -> None:
        """`most_bytes`: how much it may be sent without having acknowledged it; 0 is no limit."""
        self.user = user
        self._soon = soon
        self._heard = heard
        self._counts = counts
        self._most_bytes = most_bytes
        self._said: list[bytes] = []
        self.unacknowledged_bytes = 0
        """What it has been sent; whoever acknowledges for it takes away from it."""
        self.is_ended = False
        self.session = Session(self, broker, time_stamp, user, is_extended=True)
        self.session.awaits_first_frame = False  # nobody is there to be greeted

    def command(self, name: str, **fields: object) -> None:
        """Carry out a command."""
        self.session.frames_received([msgspec.json.encode({"command": name, **fields})])

    def send(self, command: wire.SendMessage, payload: bytes) -> None:
        """Carry out a `send-message`; see Session."""
        self._counts.sent += len(wire.items(command.data))
        self.session.send(command, payload)

    def close(self) -> None:
        """It is over: what it was sent and has not acknowledged goes to others."""
        if not self.is_ended:
            self.is_ended = True
            self.session.closed()

    # Peer

    def send_frame(self, frame: bytes) -> None:
        """See Peer."""
        self.unacknowledged_bytes += len(frame)
        if not self._said:
            self._soon(self.tell)
        self._said.append(frame)

    def send_bundle(self, bundle: Bundle) -> None:
        """See Peer. Bundles are for those who do not acknowledge."""
        raise TypeError("a visitor acknowledges")

    def is_full(self) -> bool:
        """See Peer."""
        return 0 < self._most_bytes <= self.unacknowledged_bytes

    def pause(self) -> None:
        """See Peer. There is nothing that it reads."""

    def resume(self) -> None:
        """See Peer."""

    def end(self, code: CloseCode) -> None:
        """See Peer."""
        self._soon(self.close)

    def tell(self) -> None:
        """Tell `heard` now what has been said so far."""
        said, self._said = self._said, []
        for frame in said:
            kind, payload = frames.frame_out(frame)
            if kind == frames.TEXT and not self.is_ended:
                heard = understand(payload)
                if isinstance(heard, Delivered):
                    self._counts.received += len(heard.items)
                self._heard(heard)
