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


class WebhookFigures:
    """Of all webhooks since the start, by where they post to."""

    __slots__ = ("delivered", "dropped", "failed_attempts", "given_up")

    def __init__(self) -> None:
        self.delivered: Counter[str] = Counter()
        """Events that were taken."""
        self.failed_attempts: Counter[str] = Counter()
        """Requests that were answered by anything but 2xx, or not at all."""
        self.given_up: Counter[str] = Counter()
        """Events that nobody took at any attempt."""
        self.dropped: Counter[str] = Counter()
        """Events that were never sent: too many waited, the URL was removed, the broker stopped."""

    def begin(self, place: str) -> None:
        """From now on there is a webhook: its figures are 0, and not unknown."""
        for counter in (self.delivered, self.failed_attempts, self.given_up, self.dropped):
            counter[place] += 0


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
