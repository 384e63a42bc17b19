"""The opening of a connection: the request is let in or refused (RFC 6455, section 4.2).

What Autobahn does behind a server's back here is put right; each remedy has its test in
tests/test_protocol.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred

from wsmb.auth import parse_basic
from wsmb.handshake import HEAD_END, MAX_HEAD_BYTES, REASONS, Refusal, check_head, is_origin_allowed, refusal

if TYPE_CHECKING:
    from wsmb.factory import BrokerFactory

MAX_EARLY_BYTES = 65_536
SUBPROTOCOL = "wsmb"

_FROM_URL_SAFE = str.maketrans("-_", "+/")


class OpeningProtocol(WebSocketServerProtocol):
    """A connection until its upgrade has been answered."""

    log = txaio.make_logger(level="info")  # type: ignore[attr-defined]
    """Stays at this level, whatever txaio is set to: at debug Autobahn logs the request, password and all."""
    factory: BrokerFactory
    openHandshakeTimeoutCall: Any
    user = ""
    is_checking = False
    """Whether the password is being checked."""
    _origin: str | None = None
    _head_seen = False

    def early_data_received(self, data: bytes) -> None:
        """Bytes have come while the password is being checked.

        They are not to be parsed before it is known whether this user may come in: Autobahn would take
        a second request for the first one's.
        """
        self.data += data
        if len(self.data) > MAX_EARLY_BYTES:
            self.dropConnection(abort=True)

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
        self.is_checking = True

        def checked(is_right: bool) -> None:
            self.is_checking = False
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
        self.sendData(refusal(code if code in REASONS else 400))
        self.dropConnection(abort=False)


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
