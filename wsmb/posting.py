"""Requests by HTTP, as webhooks need them: no redirect is followed, and an answer is hardly read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.http_headers import Headers

CONNECT_TIMEOUT_S = 5.0
MOST_ANSWER_BYTES = 65_536
"""Of which none is looked at: that the other end can finish it."""


class Poster:
    """Posts. TLS is verified: the certificate by the system's authorities, and its name."""

    def __init__(self, reactor: Any) -> None:
        make: Any = Agent  # as it says nothing of types
        pool: Any = _QuietPool
        self._agent = make(reactor, connectTimeout=CONNECT_TIMEOUT_S, pool=pool(reactor, False))

    def post(self, url: bytes, headers: dict[bytes, bytes], body: bytes) -> Deferred[int]:
        """Fires with the status of the answer, once it has come."""
        fields = Headers({name: [value] for name, value in headers.items()})
        make: Any = FileBodyProducer
        request: Deferred[Any] = self._agent.request(b"POST", url, fields, make(BytesIO(body)))
        return request.addCallback(_finish)


class _QuietFactory(_HTTP11ClientFactory):
    noisy = False


class _QuietPool(HTTPConnectionPool):
    """Two lines in the log for each request would be more than the log has of anything else."""

    _factory = _QuietFactory


def _finish(response: Any) -> Deferred[int]:
    rest = _Rest(response.code)
    response.deliverBody(rest)
    return rest.ended


class _Rest(Protocol):
    """Takes the body of an answer, and forgets it."""

    transport: Any

    def __init__(self, status: int) -> None:
        self.ended: Deferred[int] = Deferred(self._cancel)
        self._status = status
        self._bytes = 0

    def _cancel(self, _: Any) -> None:
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        self._bytes += len(data)
        if self._bytes > MOST_ANSWER_BYTES:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The end of it."""
        if not self.ended.called:
            self.ended.callback(self._status)
