"""What the writer has before it: one queue, and beside it what has to wait for room on the disk."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from wsmb.store.operations import Append, Batch, NoteTries, Operation, Page, Remove, Sweep

_MOST_ROWS = 2000
_MOST_BYTES = 4_194_304


class Lanes:
    """Gives batches in the order in which their operations were added.

    Where there is no room, appends wait, in their order, and all else goes on. A page that finds nothing
    waits behind the appends to its channel: else who asked would think that nothing is left.
    """

    def __init__(self) -> None:
        self._queue: deque[Operation] = deque()
        self._parts: deque[Batch] = deque()
        self._waiting: deque[Operation] = deque()
        """What needs room, and pages behind it."""
        self._channels: Counter[str] = Counter()
        """How many appends wait for room, by channel."""
        self._removals: deque[Operation] = deque()
        """Removals that found no room either."""
        self._is_due = False
        self.is_full = False
        """Whether there was no room the last time; what needs some waits until `look_for_room`."""

    def __len__(self) -> int:
        return len(self._parts) + len(self._queue) + len(self._waiting) + len(self._removals)

    def add(self, operation: Operation) -> None:
        """Behind all that was added before."""
        self._queue.append(operation)

    def next(self) -> Batch | None:
        """What is to be carried out now, if anything."""
        if self._parts:
            return self._parts.popleft()
        if self._is_due:
            lane = self._removals or self._waiting
            return Batch(_gather(lane), has_waited=True)
        if self.is_full:
            self._sort()
        operations = _gather(self._queue)
        return Batch(operations) if operations else None

    def split(self, batch: Batch) -> None:
        """Next, give the halves of `batch`."""
        middle = len(batch.operations) // 2
        halves = (batch.operations[middle:], batch.operations[:middle])
        self._parts.extendleft(Batch(half, has_waited=batch.has_waited) for half in halves)

    def set_aside(self, batch: Batch) -> bool:
        """There is no room for `batch`: keep what needs some, and give the rest of it next.

        Nothing of it has been committed. False if nothing in it can need room.
        """
        growing = [op for op in batch.operations if _grows(op)]
        shrinking = [op for op in batch.operations if isinstance(op, Remove | Sweep)]
        if not growing and not shrinking:
            return False
        self.is_full, self._is_due = True, False
        if batch.has_waited:
            self._put_back(batch)
        else:
            if growing:
                self._wait(growing)
            else:
                self._removals += shrinking
            aside = set(map(id, growing or shrinking))
            rest = [op for op in batch.operations if id(op) not in aside]
            if rest:
                self._parts.appendleft(Batch(self._hiding(rest)))
        return True

    def look_for_room(self) -> None:
        """Next, try again what waits; removals first, which make room."""
        self._is_due = bool(self._removals or self._waiting)

    def finish(self, batch: Batch, *, is_refused: bool) -> None:
        """`batch` has been carried out or refused. Takes from it the pages that are to wait."""
        if batch.has_waited:
            self._channels.subtract(op.channel for op in batch.operations if type(op) is Append)
            self._channels = +self._channels
            self.look_for_room()
            self.is_full = self._is_due or bool(self._parts)
        elif self.is_full and not is_refused:
            early = [op for op in batch.operations if type(op) is Page and self._is_early(op)]
            self._waiting += early
            batch.operations = [op for op in batch.operations if op not in early]

    def clear(self) -> list[Batch]:
        """Take all that has not been carried out."""
        left = [*self._parts, *(Batch(list(lane)) for lane in (self._removals, self._waiting, self._queue))]
        for lane in (self._parts, self._removals, self._waiting, self._queue):
            lane.clear()
        self.is_full = self._is_due = False
        return left

    def _is_early(self, page: Page) -> bool:
        return not page.found and page.refusal is None and page.channel in self._channels

    def _sort(self) -> None:
        """Move what needs room out of the queue."""
        queue = self._queue
        self._wait([op for op in queue if _grows(op)])
        self._queue = deque(self._hiding(op for op in queue if not _grows(op)))

    def _wait(self, growing: Iterable[Operation]) -> None:
        for operation in growing:
            self._waiting.append(operation)
            if type(operation) is Append:
                operation.texts = ()
                self._channels[operation.channel] += 1

    def _put_back(self, batch: Batch) -> None:
        operations = [*batch.operations, *(op for part in self._parts for op in part.operations)]
        self._parts.clear()
        for operation in reversed(operations):
            lane = self._removals if isinstance(operation, Remove | Sweep) else self._waiting
            lane.appendleft(operation)

    def _hiding(self, operations: Iterable[Operation]) -> list[Operation]:
        """The same, pages without what is to be removed but could not."""
        removed = frozenset(item for op in self._removals if type(op) is Remove for item in op.ids)
        found = list(operations)
        if removed:
            for operation in found:
                if type(operation) is Page:
                    operation.hidden |= removed
        return found


def _grows(operation: Operation) -> bool:
    return isinstance(operation, Append | NoteTries) and operation.refusal is None


def _gather(lane: deque[Operation]) -> list[Operation]:
    operations: list[Operation] = []
    rows = size_bytes = 0
    while lane and rows < _MOST_ROWS and size_bytes < _MOST_BYTES:
        operation = lane.popleft()
        operations.append(operation)
        rows += operation.rows
        size_bytes += operation.size_bytes
    return operations
