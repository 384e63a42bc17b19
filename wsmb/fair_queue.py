"""A queue in which who brings much does not stand in the way of who brings little."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class FairQueue(Generic[T]):
    """One line for each place; the lines take turns."""

    def __init__(self) -> None:
        # Both in their order: lines by whose turn is next, what stands in a line by when it came.
        self._lines: dict[str, dict[T, None]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, place: str, one: T) -> None:
        """Put `one` at the end of the line of `place`. It must not be in it."""
        self._lines.setdefault(place, {})[one] = None
        self._size += 1

    def take(self) -> T | None:
        """The next one; None if there is none."""
        if not self._lines:
            return None
        place = next(iter(self._lines))
        line = self._lines.pop(place)
        one = next(iter(line))
        del line[one]
        if line:
            self._lines[place] = line
        self._size -= 1
        return one

    def take_last_of_longest(self) -> T:
        """The one that came last in the longest line. There must be one."""
        place = max(self._lines, key=lambda place: len(self._lines[place]))
        one = next(reversed(self._lines[place]))
        self.remove(place, one)
        return one

    def remove(self, place: str, one: T) -> None:
        """Take `one` out of the line of `place`, if it is there."""
        line = self._lines.get(place, {})
        if one in line:
            del line[one]
            self._size -= 1
            if not line:
                del self._lines[place]
