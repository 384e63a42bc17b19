"""Autobahn's WebSocket protocol, turned into calls of a Session: bytes <-> frames.

Autobahn reads what is not an everyday frame, and speaks the closing handshake. What it does behind
our back is put right here and in wsmb.opening; each remedy has a test in tests/test_protocol.py.
"""

from __future__ import annotations

import math
from typing import Any

from autobahn.websocket import USES_NVX
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
from twisted.logger import Logger

from wsmb import frames
from wsmb.errors import CloseCode
from wsmb.opening import OpeningProtocol
from wsmb.outbox import Outbox, make_outbox
from wsmb.session import Session

GREETING_DELAY_S = 0.1
MAX_FRAGMENTS = 1_024
WITHDRAWN_GRACE_S = 2.0
"""For the end of a connection whose user is not let in any more."""

_log = Logger()


class BrokerProtocol(OpeningProtocol):
    """One connection. It is the Peer of its Session."""

    outbox: Outbox
    session: Session | None = None
    _fragments = 0
    _missing_bytes = 0  # of an everyday frame that has begun with _pieces
    _pieces: list[bytes]
    _greeting_call: Any = None
    closeHandshakeTimeoutCall: Any = None
    # For the factory's sweep:
    heard = True
    paused = False
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

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        self.heard = True
        if self.is_checking:
            self.early_data_received(data)
        elif self.state == self.STATE_OPEN or self._missing_bytes:
            self._read(data)
        else:
            self._dataReceived(data)

    def onOpen(self) -> None:
        """The upgrade has been answered."""
        self.outbox.flush()  # never in one segment with the greeting
        is_extended = self.websocket_protocol_in_use is not None
        self.session = Session(self, self.factory.broker, self.factory.time_stamp, self.user, is_extended)
        self._greeting_call = self.factory.reactor.callLater(GREETING_DELAY_S, self._greeting_due)
        self.factory.opened(self)
        for name in _HANDSHAKE_ATTRIBUTES:
            self.__dict__.pop(name, None)

    def _greeting_due(self) -> None:
        self._greeting_call = None
        if self.session is not None:
            self.session.greeting_due()

    # Frames in

    def _read(self, data: bytes) -> None:
        """Cut out everyday frames, and leave all else to Autobahn's parser, which takes 20 µs a frame."""
        if self._missing_bytes:
            self._pieces.append(data)
            self._missing_bytes -= len(data)
            if self._missing_bytes > 0:
                return
            data = b"".join(self._pieces)
            self._pieces, self._missing_bytes = [], 0
        if self.data and self.current_frame is None:
            data, self.data = self.data + data, b""
        while (
            data and self.state == self.STATE_OPEN and self.current_frame is None and not self.inside_message
        ):
            payloads, kind, taken_bytes, missing_bytes = frames.take_frames(
                data, self.maxMessagePayloadSize, unmask_large
            )
            if payloads and kind != frames.PONG:
                self.messages_received(payloads, kind == frames.BINARY)
            else:
                for payload in payloads:
                    self.onPong(payload)
            if taken_bytes:
                data = data[taken_bytes:]
            if missing_bytes:
                self._pieces, self._missing_bytes = [data], missing_bytes
                return
            if not taken_bytes:
                break
        if data:
            self._dataReceived(data)

    def processData(self) -> bool:
        """Parse on; the original's client writes a frame of 65,535 bytes with a 64-bit length."""
        data = self.data
        if self.current_frame is None and data[1:2] in (b"\xff", b"\x7f") and data[2:10] == _LENGTH_65535:
            self.data = data[:1] + bytes((data[1] - 1,)) + data[8:]
        return bool(super().processData())

    def onMessageBegin(self, isBinary: bool) -> None:
        """A message begins."""
        self._fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of a message begins."""
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            self._max_message_size_exceeded(0, 0, "too many fragments")
        super().onMessageFrameBegin(length)

    def onMessageEnd(self) -> None:
        """A message is complete."""
        if not self.failedByMe and self.state == self.STATE_OPEN:
            self.messages_received([b"".join(self.message_data)], self.message_is_binary)
        self.message_data = []

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
    def pings(self) -> int:
        """How many pings it has been sent."""
        return 0 if self.session is None else self.session.pings

    @property
    def is_closing(self) -> bool:
        """Whether a Close frame has been sent, or TCP closed."""
        return bool(self.state != self.STATE_OPEN)

    def shows_life(self) -> bool:
        """Whether anything came, or what is queued went on, since the last call.

        A connection that we do not read ourselves is given the benefit of the doubt.
        """
        alive = self.heard or self.paused or self.outbox.has_moved
        self.heard = self.outbox.has_moved = False
        return alive

    def pause(self) -> None:
        """Read nothing more for now."""
        self.paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        self.paused = False
        if self.state != self.STATE_CLOSED:
            self.transport.resumeProducing()

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
            self.sendCloseFrame(code, code.reason.encode())
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
        self.outbox.flush()
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

    def onPong(self, payload: bytes) -> None:
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


_LENGTH_65535 = (65_535).to_bytes(8, "big")
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


def unmask_large(payload: bytes, mask: bytes) -> bytes:
    """Unmask with Autobahn's own C code, where it is there: from 1,000 bytes it is the faster one."""
    if USES_NVX:
        return bytes(create_xor_masker(mask, len(payload)).process(payload))
    return frames.unmask(payload, mask)
