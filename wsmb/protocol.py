"""Autobahn's WebSocket protocol, turned into calls of a Session: bytes <-> frames.

Autobahn reads what is not an everyday frame, and speaks the closing handshake. What it does behind
our back is put right here; each remedy has a test in tests/test_protocol.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket import USES_NVX
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsmb import frames
from wsmb.auth import parse_basic
from wsmb.handshake import HEAD_END, MAX_HEAD_BYTES, REASONS, Refusal, check_head, is_origin_allowed, refusal
from wsmb.outbox import Outbox, make_outbox
from wsmb.session import Session

if TYPE_CHECKING:
    from wsmb.factory import BrokerFactory

GREETING_DELAY_S = 0.1
MAX_FRAGMENTS = 1_024
MAX_EARLY_BYTES = 65_536
SUBPROTOCOL = "wsmb"

_log = Logger()


def utc_now() -> str:
    """The time as the original broker writes it: whole seconds, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class BrokerProtocol(WebSocketServerProtocol):
    """One connection. It is the Peer of its Session."""

    factory: BrokerFactory
    transport: Any
    openHandshakeTimeoutCall: Any
    outbox: Outbox
    session: Session | None = None
    user = ""
    _origin: str | None = None
    _head_seen = False
    _checking = False
    _fragments = 0
    _missing_bytes = 0  # of an everyday frame that has begun with _pieces
    _pieces: list[bytes]
    _greeting_call: Any = None
    # For the factory's sweep:
    heard = True
    paused = False
    quiet_since_s = 0.0
    pinged = False

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
        if self._checking:
            # Not to be parsed before it is known whether this user may come in: Autobahn would take
            # a second request for the first one's.
            self.data += data
            if len(self.data) > MAX_EARLY_BYTES:
                self.dropConnection(abort=True)
        elif self.state == self.STATE_OPEN or self._missing_bytes:
            self._read(data)
        else:
            self._dataReceived(data)

    def processHandshake(self) -> None:
        """Look at the head of the request before Autobahn does."""
        if not self._head_seen:
            end = self.data.find(HEAD_END, 0, MAX_HEAD_BYTES)
            if end < 0:
                if len(self.data) >= MAX_HEAD_BYTES:
                    self.failHandshake("", 431)
                return
            end += len(HEAD_END)
            head = check_head(self.data[:end])
            if isinstance(head, Refusal):
                self.failHandshake("", head.status)
                return
            self._head_seen = True
            self._origin = head.origin
            self.data = head.text + self.data[end:]
        super().processHandshake()

    def onConnect(  # type: ignore[override]  # Autobahn takes a Deferred as well
        self, request: ConnectionRequest
    ) -> Deferred[str | None]:
        """Let in whom the password file knows. Raises ConnectionDeny for all others."""
        settings = self.factory.settings
        if self.factory.stopping:
            raise ConnectionDeny(503)
        if settings.path not in ("/", request.path):
            raise ConnectionDeny(404)
        if not is_origin_allowed(self._origin, settings.allowed_origins):
            raise ConnectionDeny(403)
        subprotocol, credentials = _credentials(request)
        if credentials is None:
            raise ConnectionDeny(401)
        # A check may have to wait for others; from here on the client is not the slow one.
        self.openHandshakeTimeoutCall.cancel()
        self.openHandshakeTimeoutCall = None
        user, password = credentials
        answer: Deferred[str | None] = Deferred()
        self._checking = True

        def checked(is_right: bool) -> None:
            self._checking = False
            if self.factory.stopping:
                answer.errback(ConnectionDeny(503))
            elif is_right:
                self.user = user
                answer.callback(subprotocol)
            else:
                answer.errback(ConnectionDeny(401))

        self.factory.checker.check(user, password, checked)
        return answer

    def succeedHandshake(self, res: str | None) -> None:
        """Open the connection, unless the client has left while its password was checked."""
        if self.state == self.STATE_CONNECTING:
            super().succeedHandshake(res)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: object = None) -> None:
        """Refuse the request. `reason` may hold what the client sent, so it is not used."""
        if self.state != self.STATE_CONNECTING:
            return
        self.factory.refused(code)
        self.sendData(refusal(code if code in _KNOWN_STATUS else 400))
        self.dropConnection(abort=False)

    def onOpen(self) -> None:
        """The upgrade has been answered."""
        self.outbox.flush()  # never in one segment with the greeting
        self.session = Session(self, self.factory.broker, utc_now)
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
            payloads, is_binary, taken_bytes, missing_bytes = frames.take_frames(
                data, self.maxMessagePayloadSize, unmask_large
            )
            if payloads:
                self.messages_received(payloads, is_binary)
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
        if not self.failedByMe:
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

    def end(self) -> None:
        """Close TCP, after what is queued."""
        self.dropConnection(abort=False)

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
        self.outbox.put(_PING_FRAME)

    def onPong(self, payload: bytes) -> None:
        """A pong; that bytes came is all that counts."""

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The connection has ended, or has never opened."""
        if self._greeting_call is not None:
            self._greeting_call.cancel()
            self._greeting_call = None
        self.outbox.close()
        session, self.session = self.session, None
        if session is not None:
            session.closed()
            self.factory.closed(self, session, code)

    def _too_slow(self) -> None:
        _log.warn("{user} at {peer} does not read: ended", user=self.user, peer=self.peer)
        self.dropConnection(abort=True)


_KNOWN_STATUS = set(REASONS)
_LENGTH_65535 = (65_535).to_bytes(8, "big")
_FROM_URL_SAFE = str.maketrans("-_", "+/")
_PING_FRAME = frames.ping_frame(b"wsmb")
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
)


def unmask_large(payload: bytes, mask: bytes) -> bytes:
    """Unmask with Autobahn's own C code, where it is there: from 1,000 bytes it is the faster one."""
    if USES_NVX:
        return bytes(create_xor_masker(mask, len(payload)).process(payload))
    return frames.unmask(payload, mask)


def _credentials(request: ConnectionRequest) -> tuple[str | None, tuple[str, bytes] | None]:
    """The subprotocol to select and the (user, password) of a request.

    A browser cannot send `Authorization`; it offers the subprotocol `basic.<base64url>` as well.
    """
    if SUBPROTOCOL not in request.protocols:
        return None, parse_basic(request.headers.get("authorization", ""))
    offered = next((name for name in request.protocols if name.startswith("basic.")), None)
    if offered is None:
        return SUBPROTOCOL, parse_basic(request.headers.get("authorization", ""))
    return SUBPROTOCOL, parse_basic("Basic " + offered[len("basic.") :].translate(_FROM_URL_SAFE))
