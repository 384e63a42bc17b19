"""The loads that every broker gets, and what counts of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wsmb.bench.load import Load

SIZES = (64, 1_024, 16_384)
LARGE_BYTES = 16_384
TIMEOUT_S = 20.0
"""For what does not get on. (Mosquitto 2.0.11 takes 100 ms for each WebSocket message of 16 KB.)"""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load; `figures` are the keys of wsmb.bench.results that it is there for."""

    name: str
    figures: tuple[str, ...]
    senders: int = 1
    receivers: int = 1
    window: int = 256
    rate: float | None = None

    def load(self, size: int, seconds: float) -> Load:
        """This load with messages of that size. With large ones fewer are in flight."""
        window = max(1, self.window // 8) if size >= LARGE_BYTES else self.window
        return Load(
            senders=self.senders,
            receivers=self.receivers,
            size=size,
            seconds=seconds,
            window=window,
            rate=self.rate,
            timeout_s=TIMEOUT_S,
        )


_THROUGHPUT = ("deliveries_per_s",)

CASES = (
    Case("one to one, pipelined", _THROUGHPUT),
    Case("one to one, one at a time", ("p50_us", "p99_us"), window=1),
    Case("one to one, 500 a second", ("p50_us", "p99_us"), rate=500),
    Case("20 to 1", _THROUGHPUT, senders=20, window=64),
    Case("1 to 10", _THROUGHPUT, receivers=10),
    Case("1 to 100", _THROUGHPUT, receivers=100),
    Case("1 to 1,000", _THROUGHPUT, receivers=1_000, window=128),
)

UNITS = {"deliveries_per_s": "deliveries/s", "p50_us": "p50, µs", "p99_us": "p99, µs"}

Measured = dict[str, Any]
"""`{"case", "size", "server", "round", "figures"}`; `figures` as in wsmb.bench.results, or `error`."""
