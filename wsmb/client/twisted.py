"""A client on Twisted and Autobahn: one connection after the other, for one conversation."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.types import ConnectingRequest
from twisted.application.internet import ClientService
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmb import __version__
from wsmb.client import core
from wsmb.client.losses import describe, is_untrusted
from wsmb.client.silence import DEFAULT_SILENCE_S, SILENCE_TICKS, Silence, Step
from wsmb.client.target import Target

CONNECT_TIMEOUT_S = 10
STOP_TIMEOUT_S = 3
TICK_S = DEFAULT_SILENCE_S / SILENCE_TICKS


class ClientProtocol(WebSocketClientProtocol):
    """One connection. It is the Connection of its conversation."""

    factory: ClientFactory
    http_status_line = ""
    _silence: Silence | None = None
    _sweep: LoopingCall | None = None
    _why = ""

    def connectionMade(self) -> None:
        """A TCP connection has been made."""
        super().connectionMade()
        # Autobahn reads its tcpNoDelay option before it has it, and swallows the error.
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)

    def onConnecting(self, transport_details: Any) -> ConnectingRequest:
        """The request. (Autobahn's own writes an IPv6 address without its brackets.)"""
        target = self.factory.target
        return ConnectingRequest(
            host=target.url_host,
            port=target.port,
            resource=target.resource,
            headers={"Authorization": target.authorization} if target.authorization else {},
            useragent=f"wsmb/{__version__}",
        )

    def failHandshake(self, reason: str) -> None:
        """The broker does not let us in."""
        self._why = "refused: " + self.http_status_line.removeprefix("HTTP/1.1 ")
        super().failHandshake(reason)

    def onOpen(self) -> None:
        """The broker has let us in."""
        self.http_request_data = b""  # the password is in it
        self._silence = Silence()
        self._sweep = LoopingCall(self._tick)
        self._sweep.clock = self.factory.reactor
        self._sweep.start(TICK_S, now=False)
        self.factory.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if self._silence is not None:
            self._silence.heard()
        super().dataReceived(data)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A text or binary message has come."""
        event = core.decode(payload)
        if event is not None:
            self.factory.received(event)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended, or was never let in."""
        if self._sweep is not None:
            self._sweep.stop()
            self._sweep = None
        super().connectionLost(reason)
        self.factory.lost(
            core.Loss(
                self._reason(reason),
                self._status(),
                self._retry_after_s(),
                self.remoteCloseCode,
                is_untrusted(reason),
            )
        )

    def _reason(self, reason: Failure) -> str:
        if self._why:
            return self._why
        if self.wasOpenHandshakeTimeout:
            return "no answer to the opening request"
        if self.remoteCloseCode is not None:
            return f"closed by the broker: {self.remoteCloseCode} {self.remoteCloseReason or ''}".rstrip()
        return describe(reason)

    def _status(self) -> int | None:
        status = self._why.removeprefix("refused: ")[:3]
        return int(status) if status.isascii() and status.isdigit() else None

    def _retry_after_s(self) -> float:
        after = getattr(self, "http_headers", {}).get("retry-after", "")
        return float(after) if after.isascii() and after.isdigit() else 0.0

    def _tick(self) -> None:
        step = Step.NOTHING if self._silence is None else self._silence.tick()
        if step is Step.GIVE_UP:
            self._why = f"silent for {DEFAULT_SILENCE_S:g} s"
            self.abort()
        elif step is Step.PING:
            self.sendPing(b"wsmb")

    # Connection

    def send(self, payload: bytes) -> None:
        """Send one text frame; see wsmb.client.core.Connection."""
        if self.state == self.STATE_OPEN:
            self.sendMessage(payload)

    def pace(self, producer: object) -> None:
        """Pause `producer` while much is unsent."""
        self.registerProducer(producer, True)

    def abort(self) -> None:
        """End at once."""
        self.dropConnection(abort=True)


class ClientFactory(WebSocketClientFactory):
    """Makes the connections, and tells the conversation of them until the client stops."""

    protocol: Any = ClientProtocol
    noisy = False

    def __init__(
        self, target: Target, conversation: core.Conversation, backoff: core.Backoff, reactor: Any
    ) -> None:
        super().__init__(reactor=reactor)
        self.target = target
        self.is_stopping = False
        self.connection: ClientProtocol | None = None
        self.retry_after_s = 0.0
        self._conversation = conversation
        self._backoff = backoff
        self.setProtocolOptions(version=18, failByDrop=False, openHandshakeTimeout=CONNECT_TIMEOUT_S)

    def opened(self, connection: ClientProtocol) -> None:
        """A connection is open."""
        self.connection = connection
        if not self.is_stopping:
            self._conversation.opened(connection)

    def received(self, event: core.Event) -> None:
        """The broker has said something."""
        # Not before: a broker that lets us in and throws us out is not to be hurried.
        self._backoff.reset()
        if not self.is_stopping:
            self._conversation.received(event)

    def lost(self, loss: core.Loss) -> None:
        """A connection has ended, or was not made."""
        self.connection = None
        self.retry_after_s = loss.retry_after_s
        if not self.is_stopping:
            self._conversation.lost(replace(loss, reason=f"{self.target.url}: {loss.reason}"))


class Client:
    """Connects, and connects again, from `start` to `stop`. TLS is verified with the host's name.

    `tls`: what twisted.internet.ssl.optionsForClientTLS gives, if not for the system's authorities.
    """

    def __init__(
        self,
        target: Target,
        conversation: core.Conversation,
        reactor: Any,
        random: Callable[[], float] = random_module.random,
        tls: Any = None,
    ) -> None:
        backoff = core.Backoff(random)
        self._reactor = reactor
        self._factory = ClientFactory(target, conversation, backoff, reactor)
        endpoint = _Watched(_endpoint(target, reactor, tls), self._factory.lost)
        way: tuple[Any, Any] = (endpoint, self._factory)
        self._service = ClientService(
            *way,
            # Its own count begins anew with each TCP connection, let in or not.
            retryPolicy=lambda _attempt: backoff.next_delay_s(self._factory.retry_after_s),
            clock=reactor,
        )

    def start(self) -> None:
        """Begin to connect."""
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Say goodbye and close. Fires when that is done, or has taken too long."""
        self._factory.is_stopping = True
        connection = self._factory.connection
        if connection is not None and connection.state == connection.STATE_OPEN:
            connection.sendClose(1000)
        stopped = self._service.stopService()
        return stopped.addTimeout(STOP_TIMEOUT_S, self._reactor).addErrback(lambda _: None)


@implementer(IStreamClientEndpoint)
class _Watched:
    """An endpoint that tells why it could not connect; ClientService only counts."""

    def __init__(self, endpoint: Any, lost: Callable[[core.Loss], None]) -> None:
        self._endpoint = endpoint
        self._lost = lost

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Connect; see IStreamClientEndpoint."""

        def failed(failure: Failure) -> Failure:
            self._lost(core.Loss(describe(failure)))
            return failure

        connecting: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return connecting.addErrback(failed)


def _endpoint(target: Target, reactor: Any, tls: Any) -> Any:  # the interfaces of zope are no types
    endpoint: Any = HostnameEndpoint(reactor, target.host, target.port, timeout=CONNECT_TIMEOUT_S)
    if target.is_secure:
        return wrapClientTLS(tls or ssl.optionsForClientTLS(target.host), endpoint)
    return endpoint
