"""Figures that are kept for whoever wants to see how the broker is doing."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

TIMES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """How many values were how large: at most the first bound, at most the second, …, and beyond the last."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = TIMES_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class StoreFigures:
    """Of a store since the start."""

    __slots__ = ("added", "failures", "is_full", "queued", "removed", "transactions")

    def __init__(self) -> None:
        self.added = 0
        """Items that it was asked to keep."""
        self.removed = 0
        """Items that it was asked to forget."""
        self.queued = 0
        """Operations that have not been carried out; now, not since the start."""
        self.is_full = False
        """Whether there is no room for more."""
        self.transactions = Histogram()
        """Seconds of each that was carried out."""
        self.failures: Counter[str] = Counter()
        """Transactions that failed, by kind: each try of those that are tried again."""
