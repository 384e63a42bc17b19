"""Group commit: while one transaction runs, what is asked gathers and goes together in the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb.errors import Code, StoreError
from wsmb.store.dialects import Fault, kind_of
from wsmb.store.operations import Batch, Operation

_MOST_ROWS = 2000
_MOST_BYTES = 4_194_304
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
    ) -> None:
        self._run = run
        self._fault = fault
        self._call_later = call_later
        self._next_id = largest_id + 1
        self.batches = 0
        """How many batches have been carried out."""
        self._queue: deque[Operation] = deque()
        self._parts: deque[Batch] = deque()
        self._batch: Batch | None = None
        self._reporting = False
        self._tries = 0
        self._refused = 0
        self._retry: DelayedCall | None = None
        self._when_idle: Callable[[], None] | None = None
        self._ended = False

    def submit(self, operation: Operation) -> None:
        """Carry out `operation` after all that were submitted before."""
        if self._ended:
            self._call_later(0, self._report, Batch([operation]), _CLOSED)
            return
        if self._when_idle is not None:
            operation.refusal = _CLOSED
        self._queue.append(operation)
        self._advance()

    def drain(self, done: Callable[[], None]) -> None:
        """Refuse what is submitted from now on; call `done` once when the rest has been carried out."""
        self._when_idle = done
        self._advance()

    def abandon(self) -> None:
        """Refuse all that has not been carried out. What still runs may or may not be stored."""
        left = [self._batch] if self._batch else []
        left += [*self._parts, Batch(list(self._queue))]
        self._ended = True
        self._batch = None
        self._parts.clear()
        self._queue.clear()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for batch in left:
            self._report(batch, _CLOSED)

    def _advance(self) -> None:
        if self._batch is not None or self._reporting:
            return
        if self._parts or self._queue:
            batch = self._parts.popleft() if self._parts else self._gather()
            batch.number(self._next_id)
            self._carry(batch)
        elif self._when_idle is not None and not self._ended:
            self._ended = True
            self._when_idle()

    def _gather(self) -> Batch:
        operations: list[Operation] = []
        rows = size_bytes = 0
        queue = self._queue
        while queue and rows < _MOST_ROWS and size_bytes < _MOST_BYTES:
            operation = queue.popleft()
            operations.append(operation)
            rows += operation.rows
            size_bytes += operation.size_bytes
        return Batch(operations)

    def _carry(self, batch: Batch) -> None:
        self._batch = batch
        self._retry = None
        running = self._run(batch)
        running.addCallbacks(self._succeeded, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))
        running.addErrback(self._unexpected)

    def _succeeded(self, _result: object, batch: Batch) -> None:
        if batch is not self._batch:
            return
        if self._tries:
            self._log.info("the database is back after {tries} failed tries", tries=self._tries)
            self._tries = 0
        if self._refused > 1:
            self._log.error("{refused} operations were refused in a row", refused=self._refused)
        self._refused = 0
        self.batches += 1
        self._finish(batch, None)

    def _failed(self, failure: Failure, batch: Batch) -> None:
        if batch is not self._batch:
            return
        fault = self._fault(_error(failure))
        if fault is Fault.PASSING:
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
        delay_s = min(FIRST_DELAY_S * 2.0 ** min(self._tries, 10), LONGEST_DELAY_S)
        self._tries += 1
        self._retry = self._call_later(delay_s, self._carry, batch)

    def _split(self, batch: Batch) -> None:
        """One operation is poison: go by halves until it stands alone, the others with their fellows."""
        middle = len(batch.operations) // 2
        self._batch = None
        self._next_id = max(self._next_id, batch.next_id)
        self._parts.extendleft((Batch(batch.operations[middle:]), Batch(batch.operations[:middle])))
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
        if self._parts or self._queue:
            self._advance()  # before the reports, so that the thread works meanwhile
        self._report(batch, error)
        self._advance()

    def _report(self, batch: Batch, error: StoreError | None) -> None:
        self._reporting = True
        for operation in batch.operations:
            try:
                operation.report(error or operation.refusal)
            except Exception:
                self._log.failure("a receiver of results failed")
        self._reporting = False

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("the writer failed", failure=failure)


def _error(failure: Failure) -> BaseException:
    return failure.value or RuntimeError("a failure without an error")
