"""The client for scripts: that on asyncio, in a thread of its own, so that the connection lives on meanwhile.

`with BlockingClient(…) as client`. docs/python-client.md shows its use.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ssl
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from wsmb.client import aio
from wsmb.client.aio import NOT_CONNECTED
from wsmb.client.errors import ClosedError
from wsmb.client.inbox import Delivery
from wsmb.client.incoming import DEFAULT_PREFETCH, Arrived
from wsmb.client.outgoing import DEFAULT_PENDING
from wsmb.client.sends import Receipt
from wsmb.client.silence import DEFAULT_SILENCE_S

Result = TypeVar("Result")

FORKED = "it was connected before a fork, and stays with the parent: make one in each process"


class BlockingDelivery(Arrived):
    """A frame that has come, to be acknowledged."""

    __slots__ = ("_client", "_delivery")

    def __init__(self, delivery: Delivery, client: BlockingClient) -> None:
        super().__init__(delivery.arrival)
        self._delivery = delivery
        self._client = client

    def ack(self, *, confirm: bool = False) -> bool:
        """See inbox.Delivery.ack."""
        return self._client.wait_for(self._delivery.ack(confirm=confirm))

    def reject(self, *, requeue: bool = True, delay: float = 0.0, confirm: bool = False) -> bool:
        """See inbox.Delivery.reject."""
        return self._client.wait_for(self._delivery.reject(requeue=requeue, delay=delay, confirm=confirm))


class BlockingClient:
    """See aio.Client: the same words, and what has to be waited for blocks. Several threads may share one."""

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
        self._client = aio.Client(
            url,
            user=user,
            password=password,
            tls=tls,
            connect_timeout=connect_timeout,
            max_pending=max_pending,
            silence=silence,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        """Connect. Raises AdmissionError, UnreachableError or UnconfirmedError."""
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all that was posted is confirmed, and close; after an exception, close at once."""
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    def connect(self) -> None:
        """What `with` does at its beginning."""
        if self._thread is not None:
            raise RuntimeError("it has been connected before")
        self._loop = asyncio.new_event_loop()
        # Not to keep a script alive that ends without having closed.
        self._thread = threading.Thread(target=self._loop.run_forever, name="wsmb client", daemon=True)
        self._thread.start()
        try:
            self.wait_for(self._client.connect())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close. What is not confirmed by now raises ClosedError for those who wait for it."""
        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None or self._is_closed:
                return
            self._is_closed = True
            if not thread.is_alive():  # after a fork; the connection is the parent's
                return
            ending = asyncio.run_coroutine_threadsafe(self._end(), loop)
        ending.result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _end(self) -> None:
        await self._client.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:  # those that other threads still wait for
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()

    def send(
        self,
        channel: str,
        data: object,
        *,
        ttl: float | None = None,
        message_id: str | None = None,
        number_of_receiver: int | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """See aio.Client.send."""
        return self.wait_for(
            self._client.send(
                channel,
                data,
                ttl=ttl,
                message_id=message_id,
                number_of_receiver=number_of_receiver,
                timeout=timeout,
            )
        )

    def post(
        self,
        channel: str,
        data: object,
        *,
        ttl: float | None = None,
        message_id: str | None = None,
        number_of_receiver: int | None = None,
    ) -> concurrent.futures.Future[Receipt]:
        """See aio.Client.post."""
        receipt: concurrent.futures.Future[Receipt] = concurrent.futures.Future()

        async def post() -> None:
            posted = await self._client.post(
                channel, data, ttl=ttl, message_id=message_id, number_of_receiver=number_of_receiver
            )
            posted.add_done_callback(lambda posted: _hand_over(posted, receipt))

        self.wait_for(post())
        return receipt

    def flush(self) -> None:
        """See aio.Client.flush."""
        self.wait_for(self._client.flush())

    def receive(
        self,
        channel: str,
        *,
        ack: bool = True,
        prefetch: int = DEFAULT_PREFETCH,
        timeout: float | None = None,
    ) -> Generator[BlockingDelivery, None, None]:
        """See aio.Client.receive."""
        coming: AsyncGenerator[Delivery, None] = self._client.receive(
            channel, ack=ack, prefetch=prefetch, timeout=timeout
        )
        try:
            while (delivery := self.wait_for(_next(coming))) is not None:
                yield BlockingDelivery(delivery, self)
        except ClosedError:
            return
        finally:
            with suppress(ClosedError):
                self.wait_for(_close(coming))

    def ping(self) -> bool:
        """See aio.Client.ping."""
        return self.wait_for(self._client.ping())

    def wait_for(self, wanted: Coroutine[Any, Any, Result]) -> Result:
        """What a coroutine gives, carried out by this client's thread. An interrupt cancels it."""
        with self._lock:  # what is begun before the end is ended by it, and nothing is begun behind it
            if self._loop is None or self._is_closed:
                wanted.close()
                raise RuntimeError(NOT_CONNECTED) if self._loop is None else ClosedError("closed")
            if self._thread is not None and not self._thread.is_alive():
                wanted.close()
                raise RuntimeError(FORKED)
            future = asyncio.run_coroutine_threadsafe(wanted, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ClosedError("closed") from None
        except BaseException:
            future.cancel()
            raise


def _hand_over(posted: asyncio.Future[Receipt], receipt: concurrent.futures.Future[Receipt]) -> None:
    error = posted.exception()
    if error is None:
        receipt.set_result(posted.result())
    else:
        receipt.set_exception(error)


async def _next(coming: AsyncGenerator[Delivery, None]) -> Delivery | None:
    return await anext(coming, None)


async def _close(coming: AsyncGenerator[Delivery, None]) -> None:
    await coming.aclose()
