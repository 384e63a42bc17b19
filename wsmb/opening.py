"""The opening of a connection: the request is let in or refused (RFC 6455, section 4.2).

What Autobahn does behind a server's back here is put right; each remedy has its test in
tests/test_protocol.py or tests/test_protocol_openings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from wsmb.access import ACTIONS, RECEIVE
from wsmb.addresses import behind, peer_address
from wsmb.credentials import offered
from wsmb.door import Visit
from wsmb.guard import BUSY
from wsmb.handshake import (
    HEAD_END,
    REASONS,
    RETRY_AFTER_S,
    Refusal,
    check_head,
    is_origin_allowed,
    refusal,
)
from wsmb.proxy_header import read_proxy_header
from wsmb.settings import TlsUsers
from wsmb.topic_query import QueryError, Topic, read_topic

if TYPE_CHECKING:
    from wsmb.factory import BrokerFactory

MAX_EARLY_BYTES = 65_536
END_TIMEOUT_S = 10
GUESS_S = 0.25
"""After which it is told that a password was not looked at. Who guesses one after another has the others
wait less by that."""


class OpeningProtocol(WebSocketServerProtocol):
    """A connection until its upgrade has been answered."""

    log = txaio.make_logger(level="info")  # type: ignore[attr-defined]
    """Stays at this level, whatever txaio is set to: at debug Autobahn logs the request, password and all."""
    factory: BrokerFactory
    transport: Any
    openHandshakeTimeoutCall: Any
    CONFIG_ATTRS: list[str] = []  # noqa: RUF012  # an instance variable, says Autobahn
    """None that Autobahn would look after: see `_connectionMade`."""
    user = ""
    is_checking = False
    """Whether the password is being checked."""
    _visit: Visit
    _address = ""
    _origin: str | None = None
    _awaits_proxy_header = _head_seen = False
    _retry_after_s = 0
    _explanation = ""
    topic: Topic | None = None
    """The channel in its URL."""
    _forget_check: Callable[[], None] | None = None
    _ending_call: Any = None
    _answer_call: Any = None

    def connectionMade(self) -> None:
        """A TCP connection has been made: see whether there is room for it."""
        super().connectionMade()
        self._visit = Visit(self.factory.door)
        self._address = peer_address(self.transport)
        refusal = self._visit.knocks()
        if self._address in self.factory.trusted_proxies:
            # It would stand before TLS, where nobody looks for it.
            self._awaits_proxy_header = self.factory.settings.proxy_protocol and not self._is_tls
        elif refusal is None:
            refusal = self._visit.is_from(self._address)
        if refusal is None:
            return
        if self._is_tls:
            # There is nobody to answer to before TLS is up, and no room to wait for that.
            self.factory.refused(refusal.status)
            self.dropConnection(abort=True)
        else:
            self._refuse(refusal)

    def _connectionMade(self) -> None:
        # Autobahn does the same, and formats them all for its debug log, whoever reads that: a fifth of what
        # a connection costs that is refused.
        for name in WebSocketServerProtocol.CONFIG_ATTRS:
            setattr(self, name, getattr(self.factory, name))
        super()._connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The TCP connection has ended."""
        if self._ending_call is not None:
            self._ending_call.cancel()
        if self._forget_check is not None:
            self._forget_check()
        if self._answer_call is not None:
            self._answer_call.cancel()
        if not reason.check(ConnectionDone, ConnectionLost):
            # Autobahn would log an error for everybody who does not get on with our TLS.
            if not self.user:
                self.factory.refused(_trouble(reason))
            reason = Failure(ConnectionLost())
        super().connectionLost(reason)
        self._visit.ends()

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
        if self._awaits_proxy_header and not self._read_proxy_header():
            return
        if self._head_seen or self._read_head():
            super().processHandshake()

    def _read_proxy_header(self) -> bool:
        """Whether the header that a proxy begins with is there."""
        try:
            header = read_proxy_header(self.data)
        except ValueError:
            self.failHandshake("", 400)
            return False
        if header is None:
            return False
        self._awaits_proxy_header = False
        self.data = self.data[header.size :]
        if header.address is None:
            return True
        self._speaks_for(header.address)
        refusal = (
            None if self._address in self.factory.trusted_proxies else self._visit.is_from(self._address)
        )
        if refusal is not None:
            self._refuse(refusal)
        return refusal is None

    def _read_head(self) -> bool:
        """Whether the head is there, and Autobahn may see it."""
        most = self.factory.settings.limits.max_header_bytes
        end = self.data.find(HEAD_END, 0, most)
        if end < 0:
            if len(self.data) >= most:
                self.failHandshake("", 431)
            return False
        end += len(HEAD_END)
        head = check_head(self.data[:end])
        if isinstance(head, Refusal):
            self._refuse(head)
            return False
        self._head_seen = True
        self._origin = head.origin
        self.data = head.text + self.data[end:]
        self._speaks_for(behind(self._address, head.forwarded, self.factory.trusted_proxies))
        refusal = self._visit.is_from(self._address) or self._visit.may_enter()
        if refusal is not None:
            self._refuse(refusal)
        return refusal is None

    def _speaks_for(self, address: str) -> None:
        """A proxy has said so."""
        if address != self._address:
            self._address, self.peer = address, f"{address} through {self.peer}"

    def onConnect(  # type: ignore[override]  # Autobahn takes a Deferred as well
        self, request: ConnectionRequest
    ) -> Deferred[str | None] | str | None:
        """Let in whom the password file knows. Raises ConnectionDeny for all others."""
        settings = self.factory.settings
        if self.factory.stopping:
            raise ConnectionDeny(503)
        if settings.path not in ("/", request.path):
            raise ConnectionDeny(404)
        if not is_origin_allowed(self._origin, settings.allowed_origins):
            raise ConnectionDeny(403)
        self._read_query()
        subprotocol, credentials = offered(request.protocols, request.headers.get("authorization", ""))
        user = self._certificate_user()
        if user is not None and (credentials is None or settings.tls.users is TlsUsers.CERTIFICATE):
            self._enter(user)
            return subprotocol
        if credentials is None or self._needs_certificate:
            raise ConnectionDeny(401)
        # A check may have to wait for others; from here on the client is not the slow one.
        self.openHandshakeTimeoutCall.cancel()
        self.openHandshakeTimeoutCall = None
        self._visit.waits()
        user, password = credentials
        answer: Deferred[str | None] = Deferred()
        self.is_checking = True

        def checked(refusal: Refusal | None) -> None:
            self._forget_check = None
            self._visit.is_checked()
            if refusal is not None and refusal.status == 429:
                self._answer_call = self.factory.reactor.callLater(GUESS_S, answered, refusal)
            else:
                answered(refusal)

        def answered(refusal: Refusal | None) -> None:
            self.is_checking = False
            self._answer_call = None
            try:
                self._enter(user, BUSY if self.factory.stopping else refusal)
            except ConnectionDeny as denial:
                answer.errback(denial)
            else:
                answer.callback(subprotocol)

        forget_check = self.factory.guard.check(user, password, self._address, checked)
        if self.is_checking:
            self._forget_check = forget_check
        return answer

    def _read_query(self) -> None:
        """Raises ConnectionDeny, if the channel in the URL is none."""
        try:
            self.topic = read_topic(self.http_request_uri)
        except QueryError as problem:
            self._explanation = str(problem)
            raise ConnectionDeny(400) from None

    def _enter(self, user: str, refusal: Refusal | None = None) -> None:
        """Let `user` in, unless there is a refusal. Raises ConnectionDeny."""
        refusal = refusal or self._check_topic(user) or self._visit.enters(user)
        if refusal is not None:
            self._retry_after_s = refusal.retry_after_s
            raise ConnectionDeny(refusal.status)
        self.user = user

    def _check_topic(self, user: str) -> Refusal | None:
        """Who may do nothing at all on the channel in the URL has nothing to do here."""
        if self.topic is None:
            return None
        name, broker = self.topic.name, self.factory.broker
        may = [
            action
            for action in ACTIONS
            if broker.access is None or broker.access.decide(user, action, name).allowed
        ]
        if not may:
            return Refusal(403)
        return Refusal(503) if RECEIVE in may and not broker.has_room(name) else None

    def _certificate_user(self) -> str | None:
        """Whom the client's certificate names, where users have one."""
        if self.factory.settings.tls.users is TlsUsers.PASSWORD or not self._is_tls:
            return None
        from wsmb.tls import certificate_user  # noqa: PLC0415  # where there is no TLS, it stays out of memory

        return certificate_user(self.transport)

    @property
    def _needs_certificate(self) -> bool:
        return self._is_tls and self.factory.settings.tls.users is TlsUsers.CERTIFICATE

    @property
    def _is_tls(self) -> bool:
        return bool(ISSLTransport.providedBy(self.transport))

    def succeedHandshake(self, res: str | None) -> None:
        """Open the connection, unless the client has left while its password was checked."""
        if self.state == self.STATE_CONNECTING:
            super().succeedHandshake(res)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: object = None) -> None:
        """Refuse the request. `reason` may hold what the client sent, so it is not used."""
        if self.state != self.STATE_CONNECTING:
            return
        self.factory.refused(code)
        self.sendData(
            refusal(code if code in REASONS else 400, self._retry_after_s or RETRY_AFTER_S, self._explanation)
        )
        if self._is_tls:
            # TLS waits for the other end to say goodbye, however long that takes.
            self._ending_call = self.factory.reactor.callLater(END_TIMEOUT_S, self._end)
        self.dropConnection(abort=False)

    def _end(self) -> None:
        self._ending_call = None
        self.transport.abortConnection()

    def _refuse(self, refusal: Refusal) -> None:
        self._retry_after_s = refusal.retry_after_s
        self.failHandshake("", refusal.status)


def _trouble(reason: Failure) -> str:
    """Why a connection has failed. OpenSSL's errors hold tuples of library, function and reason."""
    problem: Any = reason.value
    errors = problem.args[0] if problem.args else None
    is_of_openssl = isinstance(errors, list) and errors and isinstance(errors[0], tuple)
    return f"TLS: {problem.args[0][0][-1]}" if is_of_openssl else type(problem).__name__
