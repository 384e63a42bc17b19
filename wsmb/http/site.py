"""HTTP connections as twisted.web makes them, but bounded: how many, and the time of a request. Nothing is
logged: requests are foreign, and as many as messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from wsmb.addresses import peer_address
from wsmb.credentials import parse_basic
from wsmb.door import Visit
from wsmb.factory import BrokerFactory
from wsmb.handshake import Refusal, refusal
from wsmb.http.request import BoundedRequest

REQUEST_TIMEOUT_S = 30
"""Until a whole request has come, from when the last one was answered: a byte now and then does not help."""
LINGER_S = 1
"""For a client that still sends to read that it was refused."""
MOST_HEADERS = 1_000_000

Answer = Callable[[BoundedRequest], None]


class BoundedChannel(HTTPChannel):
    """A connection, which is let in as a WebSocket is, and has to bring a whole request in time."""

    site: BoundedSite
    transport: Any
    address = ""
    """From where it was made."""
    user = ""
    """Whose requests it brings."""
    _speaks_for = ""
    _visit: Visit
    _late_call: Any = None
    _head_bytes = _stranger_bytes = 0
    is_refused = False
    """Whether nothing more is read."""
    _is_ending = False

    def connectionMade(self) -> None:
        """A TCP connection has been made."""
        super().connectionMade()
        factory = self.site.factory
        self.site.connections.add(self)
        self._visit = Visit(factory.door)
        self.address = peer_address(self.transport)
        problem = self._visit.knocks()
        if problem is None and self.address not in factory.trusted_proxies:
            problem = self.speaks_for(self.address)
        self._wait(REQUEST_TIMEOUT_S)
        if problem is not None:
            # Before TLS is up there is nobody to answer to, and no room to wait for that.
            self.refuse(problem.status, is_to_read=not ISSLTransport.providedBy(self.transport))
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The TCP connection has ended."""
        self.has_request()
        self._forget_body()
        super().connectionLost(reason)
        self._visit.ends()
        self.site.closed(self)

    # Who is there

    def speaks_for(self, address: str) -> Refusal | None:
        """Its next request comes from there."""
        if self.user or address == self._speaks_for:
            return None
        self._speaks_for = address
        return self._visit.is_from(address)

    def enters(self, user: str, address: str) -> Refusal | None:
        """Its request is `user`'s, who is at `address`. It counts as such a connection from now on."""
        if (user, address) == (self.user, self._speaks_for):
            return None
        if self.user:
            self._visit.ends()
            self._visit = Visit(self.site.factory.door)
            self.user = self._speaks_for = ""
        problem = self.speaks_for(address) or self._visit.enters(user)
        if problem is None:
            self.user = user
        return problem

    def waits(self) -> None:
        """Its password is to be checked; see Visit."""
        if not self.user:
            self._visit.waits()

    def is_checked(self) -> None:
        """It has been."""
        self._visit.is_checked()

    def knows(self, authorization: bytes | None) -> bool:
        """Whether who sends this is one who was let in before."""
        credentials = parse_basic((authorization or b"").decode("latin-1"))
        return bool(self.user) or self.site.factory.guard.remembers(credentials)

    def has_room(self, size_bytes: int) -> bool:
        """Whether so much more may come from a stranger. It is counted until the answer."""
        site = self.site
        if site.stranger_bytes + size_bytes > site.factory.settings.max_buffer_bytes:
            return False
        site.stranger_bytes += size_bytes
        self._stranger_bytes += size_bytes
        return True

    def _forget_body(self) -> None:
        self.site.stranger_bytes -= self._stranger_bytes
        self._stranger_bytes = 0

    # What comes

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if not self.is_refused:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """A line of a head has come."""
        if self.is_refused:
            return
        is_first, self._head_bytes = not self._head_bytes, self._head_bytes + len(line) + 2
        if self._head_bytes > self.site.factory.settings.limits.max_header_bytes:
            self.refuse(414 if is_first else 431)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line does not end."""
        self.refuse(431 if self._head_bytes else 414)

    def refuse(self, status: int, *, is_to_read: bool = True) -> None:
        """Say so, if anybody is to read it, and read nothing more."""
        if not self.is_refused:
            self.is_refused = True
            self.site.factory.refused(status)
            self.site.answered[status] += 1
            if is_to_read:
                self.transport.write(refusal(status))
            self._wait(LINGER_S)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """What Twisted does with what is no HTTP: an answer without a body, and reading on."""
        self.refuse(400)

    # Time

    def has_request(self) -> None:
        """A whole request has come."""
        self._head_bytes = 0
        if self._late_call is not None:
            self._late_call.cancel()
            self._late_call = None

    def requestDone(self, request: Any) -> None:
        """A request was answered."""
        if self._is_ending:
            self.persistent = 0
        self._forget_body()
        self._wait(REQUEST_TIMEOUT_S)
        super().requestDone(request)

    def end(self) -> None:
        """Close the connection, after the answer that is due."""
        self._is_ending = True
        if self._late_call is not None:
            self.loseConnection()

    def _wait(self, seconds: float) -> None:
        self.has_request()
        self._late_call = self.site.factory.reactor.callLater(seconds, self._too_late)

    def _too_late(self) -> None:
        self._late_call = None
        self.transport.abortConnection()


class BoundedSite(ServerFactory):
    """The connections, each of whose requests is answered by `answer`."""

    noisy = False

    def __init__(self, answer: Answer, factory: BrokerFactory) -> None:
        self.answer = answer
        self.factory = factory
        self.connections: set[BoundedChannel] = set()
        self.stranger_bytes = 0
        """Bodies of requests whose users are not known yet, of all connections."""
        self.answered: Counter[int] = Counter()
        """Answers by their status."""
        self._ended: Deferred[None] | None = None

    @property
    def max_body_bytes(self) -> int:
        """The largest body of a request."""
        return self.factory.settings.max_frame_bytes

    def turns_away(self) -> bool:
        """Whether a new connection is to be closed at once; see BrokerFactory."""
        return self.factory.turns_away()

    def buildProtocol(self, addr: object) -> BoundedChannel | None:
        """Twisted's way to a new connection; None if there is no room even for an answer."""
        if self.turns_away():
            return None
        # Twisted's own would speak HTTP/2 to who asks for it, past all that is bounded here.
        channel = BoundedChannel()
        channel.site = self
        channel.requestFactory = BoundedRequest
        channel.timeOut = None
        channel.maxHeaders = channel.totalHeadersSize = MOST_HEADERS  # their bytes are limited
        channel.MAX_LENGTH = self.factory.settings.limits.max_header_bytes
        return channel

    def log(self, request: object) -> None:
        """Twisted's way to log a request."""

    def closed(self, connection: BoundedChannel) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self._ended is not None and not self.connections:
            ended, self._ended = self._ended, None
            ended.callback(None)

    def end_all(self, grace_s: float) -> Deferred[None]:
        """Close the connections after what is due on them, or `grace_s` seconds later.

        Fires when none is left.
        """
        ended: Deferred[None] = Deferred()
        self._ended = ended
        timer = self.factory.reactor.callLater(grace_s, self._abort_all)
        for connection in list(self.connections):
            connection.end()
        if not self.connections and self._ended is not None:
            self._ended = None
            ended.callback(None)
        return ended.addBoth(lambda _: timer.cancel() if timer.active() else None)

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.transport.abortConnection()
