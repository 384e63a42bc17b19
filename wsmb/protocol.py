"""Autobahn's WebSocket protocol, turned into calls of a Session: bytes <-> frames.

Autobahn reads what is not an everyday frame, and speaks the closing handshake. What it does behind
our back is put right here, in wsmb.opening and in wsmb.reading; each remedy has a test in
tests/test_protocol.py.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.logger import Logger

from wsmb.errors import CloseCode
from wsmb.outbox import Outbox, make_outbox
from wsmb.reading import ReadingProtocol
from wsmb.session import Session
from wsmb.topic_session import TopicSession

GREETING_DELAY_S = 0.1
WITHDRAWN_GRACE_S = 2.0
"""For the end of a connection whose user is not let in any more."""

_log = Logger()


class BrokerProtocol(ReadingProtocol):
    """One connection. It is the Peer of its Session."""

    outbox: Outbox
    session: Session | TopicSession | None = None
    _greeting_call: Any = None
    closeHandshakeTimeoutCall: Any = None
    opened_s = 0.0
    number = 0  # of those that were opened, this is the how-manieth
    # For the factory's sweep:
    quiet_since_s = 0.0
    is_pinged = False
    end_by_s = math.inf  # when it is to be gone at the latest
    pings_then = pings_seen = 0  # how many pings it had been sent by then, and by the last sweep

    # Opening

    def connectionMade(self) -> None:
        """A TCP connection has been made."""
        self.outbox = make_outbox(
            self.transport, self.factory.flusher, self.factory.settings.max_outstanding_bytes, self._too_slow
        )
        # Without a call in between: this is done for each receiver of each frame.
        self.send_frame = self.outbox.put
        self.send_bundle = self.outbox.put_bundle
        self.is_full = self.outbox.is_full
        super().connectionMade()
        # Autobahn reads its tcpNoDelay option before it has it, and swallows the error.
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)

    def onOpen(self) -> None:
        """The upgrade has been answered."""
        self.outbox.flush()  # never in one segment with the greeting
        broker, time_stamp = self.factory.broker, self.factory.time_stamp
        if self.topic is not None:
            self.session = TopicSession(self, broker, time_stamp, self.user, self.topic)
        else:
            is_extended = self.websocket_protocol_in_use is not None
            self.session = Session(self, broker, time_stamp, self.user, is_extended)
        self._greeting_call = self.factory.reactor.callLater(GREETING_DELAY_S, self._greeting_due)
        self.factory.opened(self)
        for name in _HANDSHAKE_ATTRIBUTES:
            self.__dict__.pop(name, None)
        self.begin_reading()

    def _greeting_due(self) -> None:
        self._greeting_call = None
        if self.session is not None:
            self.session.greeting_due()

    def messages_received(self, payloads: list[bytes], is_binary: bool) -> None:
        """Complete messages have come, all text or all binary."""
        if self.session is not None:
            if self._greeting_call is not None:
                self._greeting_call.cancel()
                self._greeting_call = None
            self.session.frames_received(payloads)

    # Peer, together with what connectionMade takes from the outbox

    @property
    def outstanding(self) -> int:
        """How many frames it has been sent and has not proved."""
        return 0 if self.session is None else self.session.outstanding

    @property
    def frames_in(self) -> int:
        """How many messages have come."""
        return 0 if self.session is None else self.session.frames_in

    @property
    def pings(self) -> int:
        """How many pings it has been sent."""
        return 0 if self.session is None else self.session.pings

    @property
    def awaits_pong(self) -> bool:
        """Whether it has not answered all pings."""
        return self.session is not None and self.session.awaits_pong

    @property
    def is_closing(self) -> bool:
        """Whether a Close frame has been sent, or TCP closed."""
        return bool(self.state != self.STATE_OPEN)

    def shows_life(self) -> bool:
        """Whether anything came, or what is queued went on, since the last call.

        A connection that we do not read ourselves is given the benefit of the doubt.
        """
        alive = self.heard or bool(self._pauses) or self.outbox.has_moved
        self.heard = self.outbox.has_moved = False
        return alive

    def end(self, code: CloseCode) -> None:
        """End the connection, after what is queued, in a later turn of the reactor."""
        self.factory.reactor.callLater(0, self.end_now, code)

    def end_now(self, code: CloseCode) -> None:
        """Close TCP; who has asked for an extension is sent a Close frame and can say goodbye first.

        (The original's receiver dies of a Close frame, but comes back after a plain end.)
        """
        if self.state != self.STATE_OPEN or self.session is None:
            return
        self.outbox.go_on()
        if self.session.answers.is_extended:
            self.sendCloseFrame(code.number, code.reason.encode())
        else:
            self.dropConnection(abort=False)

    def withdraw(self) -> None:
        """Its user is not let in any more: end it, and do nothing for it meanwhile."""
        self.end_by_s = self.factory.reactor.seconds() + WITHDRAWN_GRACE_S
        self.end_now(CloseCode.CREDENTIALS_WITHDRAWN)
        if self.session is not None:
            self.session.closed()

    # Out and end

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Autobahn's own frames and answers, in order with all others."""
        self.outbox.put(data)

    def dropConnection(self, abort: bool = False) -> None:
        """Close TCP, after what is queued, or with `abort` after what the kernel takes of it now."""
        if self.state == self.STATE_CLOSED:
            return
        self.state = self.STATE_CLOSED
        self.droppedByMe = True
        self.outbox.end()
        self._closeConnection(abort)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Send a Close frame. No message may follow it, so whoever receives must not do so any more."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.session is not None:
            self.session.closed()

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self.session is not None:
            self.session.ping()

    def pong_received(self, payload: bytes) -> None:
        """A pong has come."""
        if self.session is not None:
            self.session.pong(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The connection has ended, or has never opened."""
        if self._greeting_call is not None:
            self._greeting_call.cancel()
            self._greeting_call = None
        if self.closeHandshakeTimeoutCall is not None:
            # Autobahn forgets it where the client ends TCP without a Close frame: 3 s of a dead connection.
            self.closeHandshakeTimeoutCall.cancel()
            self.closeHandshakeTimeoutCall = None
        self.outbox.close()
        self.factory.waiting.pop(self, None)
        session, self.session = self.session, None
        if session is not None:
            unproved = session.outstanding
            try:
                session.closed()
            finally:
                self.factory.closed(self, session, code, unproved)

    def _too_slow(self) -> None:
        _log.warn("{user} at {peer} does not read: ended", user=self.user, peer=self.peer)
        self.end(CloseCode.TOO_SLOW)


# What Autobahn keeps of the opening for the rest of a connection's life: the password among it.
_HANDSHAKE_ATTRIBUTES = (
    "http_headers",
    "http_request_data",
    "http_request_host",
    "http_request_params",
    "http_request_path",
    "http_request_uri",
    "http_response_data",
    "http_status_line",
    "websocket_protocols",
    "websocket_extensions",
    "websocket_origin",
    "_wskey",
    "_address",
)
