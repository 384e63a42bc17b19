"""What has come for one `receive` on asyncio, and the delivery that a program gets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from wsmb.client.core import Confirm
from wsmb.client.errors import ClientError, ClosedError
from wsmb.client.exchange import Exchange
from wsmb.client.incoming import Arrival, Arrived, Incoming, Subscription

FRAME_BYTES = 500
"""What a frame costs in memory beside its items."""
LEAVING_TURNS = 3
"""Of the event loop: Python begins to close what is left in the second."""


class Delivery(Arrived):
    """A frame that has come, to be acknowledged."""

    __slots__ = ("_exchange",)

    def __init__(self, arrival: Arrival, exchange: Exchange) -> None:
        super().__init__(arrival)
        self._exchange = exchange

    async def ack(self, *, confirm: bool = False) -> bool:
        """It has been dealt with. False if it will come again, since its connection is gone.

        With `confirm`, waits for the broker to say so; False then also if the time for it was over.
        """
        return await self._answer(self._exchange.acknowledge, confirm=confirm)

    async def reject(self, *, requeue: bool = True, delay: float = 0.0, confirm: bool = False) -> bool:
        """It has not been dealt with: it comes again after `delay` seconds; without `requeue` it is dead.

        Returns what `ack` does.
        """
        return await self._answer(
            partial(self._exchange.reject, requeue=requeue, delay_s=delay), confirm=confirm
        )

    async def _answer(self, answer: Callable[..., bool], *, confirm: bool) -> bool:
        if not confirm:
            return answer(self.arrival)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        return answer(self.arrival, partial(settle, done)) and await done


def settle(done: asyncio.Future[bool], confirm: Confirm | None) -> None:
    """See Answered: `done` gets whether the broker has confirmed it."""
    if not done.done():
        done.set_result(confirm is not None and confirm.is_accepted)


def wake(future: asyncio.Future[None]) -> None:
    """What it waits for has happened, if it still waits."""
    if not future.done():
        future.set_result(None)


async def left(incoming: Incoming, channel: str) -> None:
    """Let Python close an iterator on `channel` that was left by `break`, and that nobody has any more."""
    for _ in range(LEAVING_TURNS):
        if incoming.receives(channel):
            await asyncio.sleep(0)


def _cost(arrival: Arrival) -> int:
    return FRAME_BYTES + len(bytes(arrival.event.data))


class Inbox:
    """What has arrived and has not been taken. `changed` is told by how many bytes that has changed."""

    def __init__(self, changed: Callable[[int], None] | None) -> None:
        self._came: deque[Arrival] = deque()
        self._news = asyncio.Event()
        self._error: ClientError | None = None
        self._changed = changed

    def subscription(self, channel: str, prefetch: int | None) -> Subscription:
        """One whose frames come here."""
        return Subscription(channel, prefetch, self._arrived, self._ended, lambda: list(self._came))

    async def next(self, timeout_s: float | None) -> Arrival | None:
        """The oldest; None if none comes for so long, or the client has been closed.

        Raises the error that ended it, behind all others.
        """
        try:
            async with asyncio.timeout(timeout_s if not self._came else None):
                while not self._came:
                    if isinstance(self._error, ClosedError):
                        return None
                    if self._error is not None:
                        raise self._error
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        arrival = self._came.popleft()
        if self._changed is not None:
            self._changed(-_cost(arrival))
        return arrival

    def close(self) -> None:
        """Nobody takes the rest."""
        if self._changed is not None:
            self._changed(-sum(map(_cost, self._came)))
        self._came.clear()

    def _arrived(self, arrival: Arrival) -> None:
        self._came.append(arrival)
        self._news.set()
        if self._changed is not None:
            self._changed(_cost(arrival))

    def _ended(self, error: ClientError) -> None:
        self._error = error
        self._news.set()
