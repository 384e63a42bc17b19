"""The client on Twisted, as a service: `TwistedClient(…)`. docs/python-client.md shows its use."""

from __future__ import annotations

import os
import random as random_module
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb.client.core import Confirm
from wsmb.client.errors import ClientError, ClosedError, Late
from wsmb.client.exchange import ID_BYTES, Exchange, items_of
from wsmb.client.incoming import DEFAULT_PREFETCH, Arrival, Arrived, Subscription
from wsmb.client.outgoing import DEFAULT_PENDING
from wsmb.client.sends import Outcome, Receipt, Send
from wsmb.client.target import library_target
from wsmb.client.twisted import Client

STOP_TIMEOUT_S = 5.0


class TwistedDelivery(Arrived):
    """A frame that has come, to be acknowledged."""

    __slots__ = ("_exchange",)

    def __init__(self, arrival: Arrival, exchange: Exchange) -> None:
        super().__init__(arrival)
        self._exchange = exchange

    def ack(self, *, confirm: bool = False) -> Deferred[bool]:
        """It has been dealt with. False if it will come again, since its connection is gone.

        With `confirm`, fires when the broker says so; False then also if the time for it was over.
        """
        return self._answer(self._exchange.acknowledge, confirm=confirm)

    def reject(self, *, requeue: bool = True, delay: float = 0.0, confirm: bool = False) -> Deferred[bool]:
        """It has not been dealt with: it comes again after `delay` seconds; without `requeue` it is dead.

        Fires with what `ack` does.
        """
        return self._answer(partial(self._exchange.reject, requeue=requeue, delay_s=delay), confirm=confirm)

    def _answer(self, answer: Callable[..., bool], *, confirm: bool) -> Deferred[bool]:
        if not confirm:
            return succeed(answer(self.arrival))
        done: Deferred[bool] = Deferred()
        return done if answer(self.arrival, partial(_fire, done)) else succeed(False)


def _fire(done: Deferred[bool], confirm: Confirm | None) -> None:
    done.callback(confirm is not None and confirm.is_accepted)


class Receiving:
    """Receiving on one channel. `ended` fires when that is over; fails if it is for an error."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.subscription: Subscription | None = None
        self.ended: Deferred[None] = Deferred()

    def stop(self) -> None:
        """Leave the channel. What has come can still be acknowledged. `ended` fires."""
        if self.subscription is not None and not self.ended.called:
            self._exchange.incoming.unsubscribe(self.subscription)
            self.ended.callback(None)


class TwistedClient(Service):
    """A client of one broker, from `startService` to `stopService`; it connects again whenever it has to.

    What is sent before there is a connection waits for it. For `url`, `user`, `password` and `max_pending`
    see aio.Client. `tls`: what twisted.internet.ssl.optionsForClientTLS gives. `ended` fails if the broker
    does not let the user in, or is no wsmb; all that waits then fails with the same error.
    """

    _log = Logger()

    def __init__(
        self,
        url: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: Any = None,
        max_pending: int = DEFAULT_PENDING,
        reactor: Any = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415  (whichever is installed by now)
        self.ended: Deferred[None] = Deferred()
        self._reactor = reactor
        self._flushing: list[Deferred[None]] = []
        self._connected: list[Deferred[None]] = []
        self._exchange = Exchange(
            clock=reactor.seconds,
            later=reactor.callLater,
            random=random_module.random,
            id_prefix=f"{secrets.token_urlsafe(ID_BYTES)}-",
            say=self._say,
            ended=self._over,
            max_pending=max_pending,
        )
        self._exchange.when_ready(self._ready)
        target = library_target(os.environ, url, user, password, has_certificate=tls is not None)
        self._client = Client(target, self._exchange, reactor, tls=tls)

    def startService(self) -> None:
        """Begin to connect."""
        super().startService()
        self._client.start()

    def stopService(self) -> Deferred[None]:
        """Wait until all that was sent is confirmed, STOP_TIMEOUT_S at most, and close."""
        super().stopService()
        flushed = self.flush().addTimeout(STOP_TIMEOUT_S, self._reactor)
        return flushed.addErrback(lambda _: None).addCallback(lambda _: self.close())

    def close(self) -> Deferred[None]:
        """Close at once. What is not confirmed by now fails with ClosedError."""
        self._exchange.close()
        return self._client.stop()

    def when_connected(self) -> Deferred[None]:
        """Fires once there has been a connection; fails if there will be none."""
        if self._exchange.error is not None:
            return fail(self._exchange.error)
        if self._exchange.is_ready:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._connected.append(waiting)
        return waiting

    def send(
        self,
        channel: str,
        data: object,
        *,
        ttl: float | None = None,
        message_id: str | None = None,
        number_of_receiver: int | None = None,
        timeout: float | None = None,
    ) -> Deferred[Receipt]:
        """Send `data`; fires with the broker's confirm. A list is several items, anything else one.

        See aio.Client.send, whose exceptions are the failures here. To cancel means to forget it: it may be
        carried out or not.
        """
        done: Deferred[Receipt] = Deferred(lambda _: self._exchange.outgoing.forget(send))
        send = self._exchange.send(
            channel,
            items_of(data),
            partial(self._settled, done),
            ttl=ttl,
            message_id=message_id,
            number_of_receiver=number_of_receiver,
        )
        if timeout is not None:
            done.addTimeout(timeout, self._reactor, onTimeoutCancel=partial(self._late, send))
        return done

    def flush(self) -> Deferred[None]:
        """Fires when all is confirmed, or refused."""
        if not len(self._exchange.outgoing):
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._flushing.append(waiting)
        return waiting

    def receive(
        self,
        channel: str,
        received: Callable[[TwistedDelivery], object],
        *,
        ack: bool = True,
        prefetch: int = DEFAULT_PREFETCH,
    ) -> Receiving:
        """Call `received` with what comes on `channel`. With `ack` each is to be acknowledged, at any time.

        What `received` raises is logged, and the delivery rejected, so that it comes again; so is it if
        what it returns is a Deferred that fails.
        """
        receiving = Receiving(self._exchange)

        def arrived(arrival: Arrival) -> None:
            delivery = TwistedDelivery(arrival, self._exchange)
            maybeDeferred(received, delivery).addErrback(self._failed, delivery)

        def ended(error: ClientError) -> None:
            if isinstance(error, ClosedError):
                receiving.ended.callback(None)
            else:
                receiving.ended.errback(error)

        subscription = Subscription(channel, prefetch if ack else None, arrived, ended)
        self._exchange.subscribe(subscription)
        receiving.subscription = subscription
        return receiving

    def ping(self) -> Deferred[bool]:
        """Whether the broker answers, and its database does."""
        done: Deferred[bool] = Deferred()
        self._exchange.ping(partial(_fire, done))
        return done.addCallback(lambda answered: answered and self._exchange.is_well)

    # Inside

    def _say(self, what: str) -> None:
        self._log.warn("{what}", what=what)

    def _ready(self) -> None:
        connected, self._connected = self._connected, []
        for waiting in connected:
            waiting.callback(None)

    def _settled(self, done: Deferred[Receipt], outcome: Outcome) -> None:
        if isinstance(outcome, Receipt):
            done.callback(outcome)
        else:
            done.errback(outcome)
        if self._flushing and not len(self._exchange.outgoing):
            flushing, self._flushing = self._flushing, []
            for waiting in flushing:
                if not waiting.called:
                    waiting.callback(None)

    def _late(self, send: Send, result: object, _timeout_s: float) -> Any:
        if isinstance(result, Failure) and result.check(CancelledError):
            raise Late(send.message_id, self._exchange.why_not)
        return result

    def _failed(self, failure: Failure, delivery: TwistedDelivery) -> None:
        self._log.failure("a receiver on {channel} has failed", failure, channel=delivery.channel)
        delivery.reject()

    def _over(self, error: ClientError) -> None:
        connected, self._connected = self._connected, []
        for waiting in connected:
            waiting.errback(error)
        if isinstance(error, ClosedError):
            self.ended.callback(None)
        else:
            self.ended.errback(error)
            self._client.stop()
