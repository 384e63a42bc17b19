"""A connection until the head of its request is there, and the answer to who is refused.

What Autobahn does behind a server's back here is put right; each remedy has its test in
tests/test_protocol.py or tests/test_protocol_openings.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from wsmb.addresses import behind, peer_address
from wsmb.door import Visit
from wsmb.handshake import HEAD_END, REASONS, RETRY_AFTER_S, Refusal, check_head, refusal
from wsmb.proxy_header import read_proxy_header

if TYPE_CHECKING:
    from wsmb.factory import BrokerFactory

END_TIMEOUT_S = 10


class ArrivingProtocol(WebSocketServerProtocol):
    """A connection until the head of its request has been read."""

    log = txaio.make_logger(level="info")  # type: ignore[attr-defined]
    """Stays at this level, whatever txaio is set to: at debug Autobahn logs the request, password and all."""
    factory: BrokerFactory
    transport: Any
    CONFIG_ATTRS: list[str] = []  # noqa: RUF012  # an instance variable, says Autobahn
    """None that Autobahn would look after: see `_connectionMade`."""
    user = ""
    _visit: Visit
    _address = ""
    _origin: str | None = None
    _awaits_proxy_header = _head_seen = False
    _retry_after_s = 0
    _explanation = ""
    _ending_call: Any = None

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
        if not reason.check(ConnectionDone, ConnectionLost):
            # Autobahn would log an error for everybody who does not get on with our TLS.
            if not self.user:
                self.factory.refused(_trouble(reason))
            reason = Failure(ConnectionLost())
        super().connectionLost(reason)
        self._visit.ends()

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

    @property
    def _is_tls(self) -> bool:
        return bool(ISSLTransport.providedBy(self.transport))


def _trouble(reason: Failure) -> str:
    """Why a connection has failed. OpenSSL's errors hold tuples of library, function and reason."""
    problem: Any = reason.value
    errors = problem.args[0] if problem.args else None
    is_of_openssl = isinstance(errors, list) and errors and isinstance(errors[0], tuple)
    return f"TLS: {problem.args[0][0][-1]}" if is_of_openssl else type(problem).__name__
