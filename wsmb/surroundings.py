"""What all channels of a broker share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from wsmb.deliveries import Done
from wsmb.fanout import Fanout
from wsmb.interfaces import MessageStore
from wsmb.lingering import Lingering
from wsmb.pulse import Pulse
from wsmb.traces import Traces
from wsmb.watches import Watches
from wsmb.wire import MAX_DEPTH

Later = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds."""


class HeldRoom:
    """How much all channels hold together."""

    __slots__ = ("bytes", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self.max_bytes = max_bytes


class Surroundings:
    """The store, the time, and what a channel asks of its broker."""

    __slots__ = (
        "bury",
        "counts",
        "fanout",
        "held",
        "idle",
        "later",
        "lingering",
        "max_depth",
        "pulse",
        "settled",
        "store",
        "time_stamp",
        "traces",
        "watches",
    )

    def __init__(
        self,
        store: MessageStore,
        later: Later,
        time_stamp: Callable[[], str],
        max_held_bytes: int,
        *,
        bury: Callable[[str, Sequence[bytes], Done], None],
        traces: Traces,
    ) -> None:
        self.store = store
        self.later = later
        self.time_stamp = time_stamp
        """The time as it stands in replies."""
        self.bury = bury
        """Puts items into a channel of dead letters."""
        self.idle: Callable[[str], None]
        """Told the name of a channel that may be forgotten now; set by who has the channels."""
        self.fanout = Fanout()
        self.pulse = Pulse()
        self.held = HeldRoom(max_held_bytes)
        self.lingering = Lingering(self.pulse, max_held_bytes)
        self.traces = traces
        """Which messages somebody wants to know about."""
        self.max_depth = MAX_DEPTH
        """Of nested arrays and objects in a frame."""
        self.watches = Watches()
        self.settled = [0, 0]
        """How many frames that were followed have failed, and how many were proved."""
        self.counts: Counter[str] = Counter()
        """Items that were `expired`, `dead`, `redelivered` or `lost`."""
