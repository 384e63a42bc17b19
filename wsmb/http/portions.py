"""Of a list the rows that a request asks for: `sort`, `start` and `max` of its query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Generic, TypeVar

from wsmb.http.call import BadRequestError, Call

ARGUMENTS = ("find", "max", "sort", "start")
DEFAULT_ROWS, MOST_ROWS = 50, 200
MOST_BEFORE = 1_000_000
T = TypeVar("T")


class Portion(Generic[T]):
    """Which rows, of whatever list."""

    def __init__(self, call: Call, orders: Mapping[str, Callable[[T], Any]]) -> None:
        """`orders`: keys to sort by; the first one where none is asked for. Raises BadRequestError."""
        sort = call.argument("sort") or next(iter(orders))
        if sort not in orders:
            raise BadRequestError(f"sort is one of {', '.join(orders)}")
        self._key = orders[sort]
        self._start = call.count("start", 0, MOST_BEFORE)
        self._most = call.count("max", DEFAULT_ROWS, MOST_ROWS)

    def of(self, rows: Iterable[T]) -> Sequence[T]:
        """The rows."""
        return nsmallest(self._start + self._most, rows, key=self._key)[self._start :]
