"""The store over a SQL database: adbapi's pool with one thread, and one writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any

from twisted.enterprise import adbapi
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb.errors import StoreError
from wsmb.figures import StoreFigures
from wsmb.interfaces import StoredItem
from wsmb.settings import ChannelSettings
from wsmb.stock import Stock
from wsmb.store.dialects import Dialect, Opened
from wsmb.store.disk import DiskFloor
from wsmb.store.operations import Ages, Append, Batch, Check, NoteTries, Page, Remove
from wsmb.store.recount import Recount
from wsmb.store.sweeper import Sweeper
from wsmb.store.transaction import Transactions
from wsmb.store.writer import Writer

_CHECK_S = 2.0
_CLOSE_S = 4.0
_LEAVE_S = 1.0


class _Connection(adbapi.Connection):
    """A pooled connection that goes quietly: adbapi logs a traceback for each rollback that fails.

    The writer says once that the database is away, and tries again on a new connection.
    """

    def rollback(self) -> None:
        connection: Any = self._connection
        try:
            connection.rollback()
        except Exception:
            self._pool.disconnect(connection)


class _DaemonThread(Thread):
    """A thread that hangs in a dead database's network must not keep the process from ending."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, daemon=True, **options)


class SqlStore:
    """See MessageStore. `opened` is what the dialect's `open` has given, `now` gives Unix time."""

    _log = Logger()

    def __init__(
        self, dialect: Dialect, reactor: Any, opened: Opened, now: Callable[[], float] = time.time
    ) -> None:
        self._dialect = dialect
        self._reactor = reactor
        # More than one thread would reorder what is written.
        self._pool: Any = adbapi.ConnectionPool(  # type: ignore[no-untyped-call]
            dialect.module,
            cp_min=1,
            cp_max=1,
            cp_reactor=reactor,
            cp_reconnect=True,
        )
        # Connections come ready for use, the first one with what was locked at the start.
        self._pool.dbapi = dialect
        self._pool.connectionFactory = _Connection
        self._pool.threadpool.threadFactory = _DaemonThread
        self.stock = Stock()
        floor = DiskFloor(dialect.disk, self.stock, now)
        self._transactions = Transactions(dialect, now, floor.is_low)
        self._writer = Writer(self._run, dialect.fault, reactor.callLater, opened.largest_id)
        self._keys = opened.keys
        self._sweeper = Sweeper(self._writer.submit, reactor.callLater, now, self.stock)
        self._recount = Recount(self._writer.submit, reactor.callLater, self.stock)
        # Who waits for the one check in the queue, each with the end of his patience.
        self._asking: list[tuple[DelayedCall, Callable[[bool], None]]] = []
        self._checking = False
        self._timer: DelayedCall | None = None
        self._waiting: list[Callable[[], None]] = []
        self._closed = False

    @property
    def keys(self) -> Sequence[tuple[bytes, float]]:
        """See MessageStore.keys."""
        return self._keys

    @property
    def figures(self) -> StoreFigures:
        """See MessageStore.figures."""
        return self._writer.figures

    def append(
        self,
        channel: str,
        items: Sequence[bytes],
        done: Callable[[Sequence[int] | StoreError], None],
        *,
        expires_at: float | None = None,
        key: bytes | None = None,
        within: ChannelSettings | None = None,
    ) -> None:
        """See MessageStore.append."""
        append = Append(channel, items, done, expires_at, key, is_new=within is not None)
        append.refusal = self.stock.begin(append, within)
        if append.refusal is None:
            append.stock = self.stock
            self._writer.figures.added += len(items)
        self._writer.submit(append)

    def remove(self, item_ids: Sequence[int]) -> None:
        """See MessageStore.remove."""
        self._writer.figures.removed += len(item_ids)
        self._writer.submit(Remove(item_ids, self.stock))

    def note_tries(self, tries: Mapping[int, int]) -> None:
        """See MessageStore.note_tries."""
        self._writer.submit(NoteTries(tries))

    def page(
        self,
        channel: str,
        after_id: int,
        max_items: int,
        max_bytes: int,
        done: Callable[[Sequence[StoredItem] | StoreError], None],
    ) -> None:
        """See MessageStore.page."""
        self._writer.submit(Page(channel, after_id, max_items, max_bytes, done))

    def ages(self, channels: Sequence[str], done: Callable[[Mapping[str, float] | StoreError], None]) -> None:
        """See MessageStore.ages."""
        self._writer.submit(Ages(channels, done))

    def check(self, done: Callable[[bool], None]) -> None:
        """See MessageStore.check."""

        def too_late(batches: int) -> None:
            self._asking.remove(asking)
            # A database that is only busy with what was asked before is well.
            done(self._writer.batches > batches)

        asking = self._reactor.callLater(_CHECK_S, too_late, self._writer.batches), done
        self._asking.append(asking)
        if not self._checking:
            self._checking = True
            self._writer.submit(Check(self._checked))

    def _checked(self, alive: bool) -> None:
        self._checking = False
        asking, self._asking = self._asking, []
        for timer, done in asking:
            timer.cancel()
            done(alive)

    def close(self, done: Callable[[], None]) -> None:
        """See MessageStore.close."""
        if self._closed:
            self._reactor.callLater(0, done)
            return
        self._waiting.append(done)
        if len(self._waiting) > 1:
            return
        self._sweeper.stop()
        self._recount.stop()
        self._timer = self._reactor.callLater(_CLOSE_S, self._give_up)
        self._writer.drain(self._let_go)

    def _give_up(self) -> None:
        self._writer.abandon()
        self._dialect.interrupt()
        self._let_go()

    def _let_go(self) -> None:
        leaving = deferToThreadPool(self._reactor, self._pool.threadpool, self._disconnect)
        leaving.addBoth(self._stop)
        leaving.addErrback(self._unexpected)
        self._set_timer(self._reactor.callLater(_LEAVE_S, self._leave_behind))

    def _disconnect(self) -> None:
        connection = self._pool.connections.get(self._pool.threadID())
        if connection is not None:
            self._pool.disconnect(connection)

    def _stop(self, _result: object) -> None:
        self._set_timer(None)
        self._pool.close()
        self._dialect.close()
        self._tell_closed()

    def _leave_behind(self) -> None:
        """The thread hangs: it ends with the process, and the reactor's stop must not wait for it."""
        self._log.warn("the database does not let go of its connection; left behind")
        self._timer = None
        trigger, self._pool.shutdownID = self._pool.shutdownID, None
        if trigger is not None:
            self._reactor.removeSystemEventTrigger(trigger)
        self._dialect.close()
        self._tell_closed()

    def _tell_closed(self) -> None:
        self._closed = True
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()

    def _set_timer(self, timer: DelayedCall | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = timer

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("closing the store failed", failure=failure)

    def _run(self, batch: Batch) -> Deferred[None]:
        running: Deferred[None] = self._pool.runWithConnection(self._transactions.carry_out, batch)
        return running
