"""The client on asyncio: `async with Client(…) as client`. docs/python-client.md shows its use."""

from __future__ import annotations

import asyncio
import logging
import os
import random as random_module
import secrets
import ssl
from collections.abc import AsyncGenerator
from functools import partial
from types import TracebackType
from typing import Self

from wsmb.client import core
from wsmb.client.errors import ClientError, ClosedError, Late, UnreachableError
from wsmb.client.exchange import ID_BYTES, Exchange, items_of
from wsmb.client.inbox import Delivery, Inbox, left, settle, wake
from wsmb.client.incoming import DEFAULT_PREFETCH
from wsmb.client.link import CLOSE_TIMEOUT_S, Link
from wsmb.client.outgoing import DEFAULT_PENDING
from wsmb.client.sends import Outcome, Receipt, Send
from wsmb.client.silence import DEFAULT_SILENCE_S
from wsmb.client.target import library_target

MOST_WAITING_BYTES = 4_194_304
"""Of frames that are not to be acknowledged, before no more are read."""

NOT_CONNECTED = "it has not been connected, by `with` or by `connect`"
OTHER_LOOP = "it was connected in another event loop"

_log = logging.getLogger("wsmb.client")


class Client:
    """A client of one broker, from `async with` to its end; it connects again whenever it has to.

    `url`: `ws://host:port/` or `wss://…`; without it, and for a `user` or `password` that are not given, the
    environment (WSMB_URL, WSMB_USER, WSMB_PASSWORD). `tls`: instead of the system's authorities.
    `connect_timeout`: seconds to the first connection, None for as long as it takes. `max_pending`: how many
    sends may be unconfirmed on the connection. `silence`: seconds after which one that says nothing is dead.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float | None = 30.0,
        max_pending: int = DEFAULT_PENDING,
        silence: float = DEFAULT_SILENCE_S,
    ) -> None:
        self._target = library_target(os.environ, url, user, password, has_certificate=tls is not None)
        self._tls = tls
        self._connect_timeout_s = connect_timeout
        self._max_pending = max_pending
        self._silence_s = silence
        self._backoff = core.Backoff(random_module.random)
        self._core: Exchange | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._failed_post: ClientError | None = None
        self._unread_bytes = 0

    @property
    def url(self) -> str:
        """Where the broker is, without credentials."""
        return self._target.url

    async def __aenter__(self) -> Self:
        """Connect. Raises AdmissionError, UnreachableError or UnconfirmedError."""
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all that was posted is confirmed, and close; after an exception, close at once."""
        try:
            if kind is None:
                await self.flush()
        finally:
            await self.close()

    async def connect(self) -> None:
        """What `async with` does at its beginning. A client connects once in its life."""
        if self._running is not None:
            raise RuntimeError("it has been connected before")
        loop = self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        self._core = Exchange(
            clock=loop.time,
            later=loop.call_later,
            random=random_module.random,
            id_prefix=f"{secrets.token_urlsafe(ID_BYTES)}-",
            say=_log.warning,
            ended=partial(self._over, ready),
            max_pending=self._max_pending,
        )
        self._exchange.when_ready(partial(wake, ready))
        tls = self._tls
        if self._target.is_secure and tls is None:
            tls = ssl.create_default_context()
        self._running = loop.create_task(self._run(tls))
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await ready
        except TimeoutError:
            self._exchange.give_up()
            await self.close()
            raise UnreachableError(str(self._exchange.error)) from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close. What is not confirmed by now raises ClosedError for those who wait for it."""
        if self._running is None:
            return
        self._exchange.close()  # which closes the link, see _over
        if self._link is not None and self._link.is_closing:
            await asyncio.wait([self._running], timeout=CLOSE_TIMEOUT_S)
        self._running.cancel()
        await asyncio.wait([self._running])

    async def send(
        self,
        channel: str,
        data: object,
        *,
        ttl: float | None = None,
        message_id: str | None = None,
        number_of_receiver: int | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """Send `data` and wait for the broker's confirm. A list is several items, anything else one.

        `ttl`: seconds in which it is of use. `message_id`: made if not given. `number_of_receiver`: how many
        get it, 0 for all. `timeout`: after so many seconds Late is raised, a TimeoutError. Raises
        RefusedError, ExpiredError, or what `async with` raises.
        """
        future, send = self._begin(channel, data, ttl, message_id, number_of_receiver)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise Late(send.message_id, self._exchange.why_not) from None
        finally:
            if not future.done() or future.cancelled():
                self._exchange.outgoing.forget(send)

    async def post(
        self,
        channel: str,
        data: object,
        *,
        ttl: float | None = None,
        message_id: str | None = None,
        number_of_receiver: int | None = None,
    ) -> asyncio.Future[Receipt]:
        """Send `data` as `send` does, and do not wait for the confirm: it comes into the future.

        Waits only while `max_pending` are unconfirmed. `flush` waits for all.
        """
        while not self._exchange.outgoing.has_room and self._exchange.error is None:
            await self._something_settled()
        future, _ = self._begin(channel, data, ttl, message_id, number_of_receiver, is_posted=True)
        return future

    async def flush(self) -> None:
        """Wait until all is confirmed. Raises the first error of what was posted since the last `flush`."""
        while len(self._exchange.outgoing):
            await self._something_settled()
        error, self._failed_post = self._failed_post, None
        if error is not None:
            raise error

    async def receive(
        self,
        channel: str,
        *,
        ack: bool = True,
        prefetch: int = DEFAULT_PREFETCH,
        timeout: float | None = None,
    ) -> AsyncGenerator[Delivery, None]:
        """What comes on `channel`. With `ack` each delivery is to be acknowledged, or comes again.

        `prefetch`: how many may be open at a time. `timeout`: after so many seconds without one it ends.
        Raises RefusedError, or what `async with` raises. It leaves the channel when it is closed.
        """
        await left(self._exchange.incoming, channel)
        inbox = Inbox(self._pace if not ack else None)
        subscription = inbox.subscription(channel, prefetch if ack else None)
        self._exchange.subscribe(subscription)
        try:
            while (arrival := await inbox.next(timeout)) is not None:
                if self._exchange.is_wanted(arrival):
                    yield Delivery(arrival, self._exchange)
        finally:
            self._exchange.incoming.unsubscribe(subscription)
            inbox.close()

    async def ping(self) -> bool:
        """Whether the broker answers, and its database does."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._exchange.ping(partial(settle, done))
        return await done and self._exchange.is_well

    # Inside

    @property
    def _exchange(self) -> Exchange:
        if self._core is None:
            raise RuntimeError(NOT_CONNECTED)
        return self._core

    def _begin(
        self,
        channel: str,
        data: object,
        ttl: float | None,
        message_id: str | None,
        number_of_receiver: int | None,
        *,
        is_posted: bool = False,
    ) -> tuple[asyncio.Future[Receipt], Send]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop and self._loop is not None:
            raise RuntimeError(OTHER_LOOP)
        future: asyncio.Future[Receipt] = loop.create_future()
        send = self._exchange.send(
            channel,
            items_of(data),
            partial(self._settled, future, is_posted),
            ttl=ttl,
            message_id=message_id,
            number_of_receiver=number_of_receiver,
        )
        return future, send

    def _settled(self, future: asyncio.Future[Receipt], is_posted: bool, outcome: Outcome) -> None:
        if isinstance(outcome, Receipt):
            if not future.done():
                future.set_result(outcome)
        else:
            if not future.done():
                future.set_exception(outcome)
            if is_posted:
                future.exception()  # it is told by `flush`
                self._failed_post = self._failed_post or outcome
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            wake(one)

    async def _something_settled(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _pace(self, more_bytes: int) -> None:
        self._unread_bytes += more_bytes
        # While an answer is awaited all has to be read, or whoever waits for it would wait for ever.
        if self._link is not None:
            too_many = self._unread_bytes > MOST_WAITING_BYTES and not self._exchange.awaits_answers
            self._link.pause(is_paused=too_many)

    async def _run(self, tls: ssl.SSLContext | None) -> None:
        """Connect again and again, until all is over."""
        while self._exchange.error is None:
            link = Link(self._target, self._opened, self._received, self._silence_s)
            self._link = link
            loss = await link.run(tls)
            self._exchange.lost(loss)
            if self._exchange.error is None:
                await asyncio.sleep(self._backoff.next_delay_s(loss.retry_after_s))

    def _opened(self, link: Link) -> None:
        self._exchange.opened(link)

    def _received(self, payload: bytes) -> None:
        event = core.decode(payload)
        if event is not None:
            self._backoff.reset()
            self._exchange.received(event)

    def _over(self, ready: asyncio.Future[None], error: ClientError) -> None:
        if not ready.done() and not isinstance(error, ClosedError):
            ready.set_exception(error)
        self._wake()
        if self._link is not None:
            self._link.close()
