"""Group commit: while one transaction runs, what is asked gathers and goes together in the next."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb.errors import Code, StoreError
from wsmb.figures import StoreFigures
from wsmb.store.dialects import Fault, kind_of
from wsmb.store.lanes import Lanes
from wsmb.store.operations import Ages, Batch, Count, Operation

# The database is used again within a second of its return.
FIRST_DELAY_S, LONGEST_DELAY_S = 0.05, 0.5
# A foreign program that inserts all the time can be in the way a few times, not for ever.
_MOST_COLLISIONS = 20

_CLOSED = StoreError(Code.UNAVAILABLE, "the store is closed")


class Writer:
    """The one queue to the database. All of it runs in the reactor's thread.

    `run` carries a batch out in a transaction of its own; `fault` says what its error means.
    """

    _log = Logger()

    def __init__(
        self,
        run: Callable[[Batch], Deferred[None]],
        fault: Callable[[BaseException], Fault],
        call_later: Callable[..., DelayedCall],
        largest_id: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._fault = fault
        self._call_later = call_later
        self._next_id = largest_id + 1
        self.batches = 0
        """How many batches have been carried out that somebody has asked for."""
        self.figures = StoreFigures()
        self.figures.failures.update({fault.name.lower(): 0 for fault in Fault})
        self._now = now
        self._began_s = 0.0
        self._lanes = Lanes()
        self._batch: Batch | None = None
        self._reporting = False
        self._tries = 0
        self._refused = 0
        self._retry: DelayedCall | None = None
        self._room_tries = 0
        self._room_retry: DelayedCall | None = None
        self._when_idle: Callable[[], None] | None = None
        self._ended = False

    def submit(self, operation: Operation) -> None:
        """Carry out `operation` after all that were submitted before."""
        if self._ended:
            self.figures.queued += 1
            self._call_later(0, self._report, Batch([operation]), _CLOSED)
            return
        if self._when_idle is not None:
            operation.refusal = _CLOSED
        self.figures.queued += 1
        self._lanes.add(operation)
        self._advance()

    def drain(self, done: Callable[[], None]) -> None:
        """Refuse what is submitted from now on; call `done` once when the rest has been carried out."""
        self._when_idle = done
        self._advance()

    def abandon(self) -> None:
        """Refuse all that has not been carried out. What still runs may or may not be stored."""
        left = [self._batch] if self._batch else []
        left += self._lanes.clear()
        self._ended = True
        self._batch = None
        for timer in (self._retry, self._room_retry):
            if timer is not None:
                timer.cancel()
        self._retry = self._room_retry = None
        for batch in left:
            self._report(batch, _CLOSED)

    def _advance(self) -> None:
        if self._batch is not None or self._reporting:
            return
        batch = self._lanes.next()
        if batch is not None:
            batch.number(self._next_id)
            self._carry(batch)
        elif self._when_idle is not None and not self._ended and not self._lanes:
            self._ended = True
            self._when_idle()

    def _carry(self, batch: Batch) -> None:
        self._batch = batch
        self._retry = None
        self._began_s = self._now()
        running = self._run(batch)
        running.addCallbacks(self._succeeded, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))
        running.addErrback(self._unexpected)

    def _succeeded(self, _result: object, batch: Batch) -> None:
        if batch is not self._batch:
            return
        kinds = set(map(type, batch.operations))
        if kinds != {Ages}:  # which commits nothing, and comes again and again while somebody looks
            self.figures.transactions.add(self._now() - self._began_s)
        if self._tries:
            self._log.info("the database is back after {tries} failed tries", tries=self._tries)
            self._tries = 0
        if self._refused > 1:
            self._log.error("{refused} operations were refused in a row", refused=self._refused)
        self._refused = 0
        # That what is there can be counted says nothing of whether anything can be written.
        self.batches += not kinds <= {Ages, Count}
        self._finish(batch, None)

    def _failed(self, failure: Failure, batch: Batch) -> None:
        if batch is not self._batch:
            return
        fault = self._fault(_error(failure))
        self.figures.failures[fault.name.lower()] += 1
        if fault is Fault.FULL and self._lanes.set_aside(batch):
            self._wait_for_room(failure)
        elif fault in {Fault.PASSING, Fault.FULL}:
            self._try_later(failure, batch)
        elif fault is Fault.TAKEN and batch.collisions < _MOST_COLLISIONS:
            batch.collisions += 1
            self._carry(batch)
        elif len(batch.operations) > 1:
            self._split(batch)
        else:
            self._refuse(fault, failure, batch)

    def _try_later(self, failure: Failure, batch: Batch) -> None:
        if not self._tries:
            self._log.warn("the database fails, trying until it is back: {error}", error=str(failure.value))
        batch.unsure = True
        self._retry = self._call_later(_delay_s(self._tries), self._carry, batch)
        self._tries += 1

    def _wait_for_room(self, failure: Failure) -> None:
        """The rest goes on meanwhile."""
        self.figures.is_full = True
        if not self._room_tries:
            self._log.error(
                "the database has no room left: what is to be kept waits for it ({error})",
                error=str(failure.value),
            )
        if self._room_retry is None:
            self._room_retry = self._call_later(_delay_s(self._room_tries), self._look_for_room)
            self._room_tries += 1
        self._batch = None
        self._advance()

    def _look_for_room(self) -> None:
        self._room_retry = None
        self._lanes.look_for_room()
        self._advance()

    def _split(self, batch: Batch) -> None:
        """One operation is poison: go by halves until it stands alone, the others with their fellows."""
        self._batch = None
        self._next_id = max(self._next_id, batch.next_id)
        self._lanes.split(batch)
        self._advance()

    def _refuse(self, fault: Fault, failure: Failure, batch: Batch) -> None:
        if not self._refused:
            self._log.error(
                "the database refuses an operation for good: {kind}", kind=kind_of(_error(failure))
            )
        self._refused += 1
        code = Code.TOO_LARGE if fault is Fault.TOO_LARGE else Code.UNAVAILABLE
        self._finish(batch, StoreError(code, "the database refuses it"))

    def _finish(self, batch: Batch, error: StoreError | None) -> None:
        self._batch = None
        self._next_id = max(self._next_id, batch.next_id)
        self._lanes.finish(batch, is_refused=error is not None)
        if self._room_tries and not self._lanes.is_full:
            self._log.info("there is room again, after {tries} tries", tries=self._room_tries)
            self._room_tries = 0
            self.figures.is_full = False
        if self._lanes:
            self._advance()  # before the reports, so that the thread works meanwhile
        self._report(batch, error)
        self._advance()

    def _report(self, batch: Batch, error: StoreError | None) -> None:
        self._reporting = True
        self.figures.queued -= len(batch.operations)
        for operation in batch.operations:
            try:
                operation.report(error or operation.refusal)
            except Exception:
                self._log.failure("a receiver of results failed")
        self._reporting = False

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("the writer failed", failure=failure)


def _delay_s(tries: int) -> float:
    return min(FIRST_DELAY_S * 2.0 ** min(tries, 10), LONGEST_DELAY_S)


def _error(failure: Failure) -> BaseException:
    return failure.value or RuntimeError("a failure without an error")
