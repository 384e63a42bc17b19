"""Frames of one channel that wait in memory for their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from wsmb.deliveries import Message

HELD_BYTES = 8_388_608
HELD_FRAME_COST = 500


class Held:
    """A queue with a bound in bytes."""

    __slots__ = ("_bytes", "_queue", "_there")

    def __init__(self) -> None:
        self._queue: deque[Message] = deque()
        self._there: set[Message] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._queue)

    def __contains__(self, message: Message) -> bool:
        return message in self._there

    @property
    def first(self) -> Message:
        """The one whose turn is next."""
        return self._queue[0]

    @property
    def first_id(self) -> int | None:
        """The smallest id in the store of what is here; None if nothing here is in the store."""
        return next((message.ids[0] for message in self._queue if message.ids), None)

    def add(self, message: Message) -> bool:
        """Put `message` at the end. False if there is no room."""
        cost = len(message.payload) + HELD_FRAME_COST
        if self._bytes + cost > HELD_BYTES:
            return False
        self._queue.append(message)
        self._there.add(message)
        self._bytes += cost
        return True

    def drop(self, message: Message) -> None:
        """Take `message` out, if it is here; cheap for the first one."""
        if message not in self._there:
            return
        self._there.remove(message)
        self._bytes -= len(message.payload) + HELD_FRAME_COST
        if self._queue[0] is message:
            self._queue.popleft()
        else:
            self._queue.remove(message)

    def take_all(self) -> list[Message]:
        """Take everything out, oldest first."""
        taken = list(self._queue)
        self._queue.clear()
        self._there.clear()
        self._bytes = 0
        return taken
