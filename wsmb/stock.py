"""How much waits in the store, by channel and in all, and whether more may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from heapq import nlargest
from typing import NamedTuple, Protocol

from wsmb.errors import Code, StoreError
from wsmb.settings import ChannelSettings, Limits

MOST_CHANNELS = 10_000
MOST_TOLD = 10
_MOST_REFUSED = 1_000
FLOOR_BYTES, FLOOR_SHARE = 268_435_456, 20
"""What is to be free on a disk if that is not set: so much, or so small a part of it."""
_NONE = (0, 0)


class Rows(NamedTuple):
    """Items of one channel in the store, together."""

    channel: str
    items: int
    bytes: int
    is_counted: bool = True
    """Whether a count that is under way has been there."""


class Coming(Protocol):
    """What is on its way into the store. Each is itself alone, whatever is equal to it."""

    @property
    def channel(self) -> str:
        """Where it is to wait."""

    @property
    def items(self) -> Sequence[bytes]:
        """JSON texts."""

    @property
    def size_bytes(self) -> int:
        """Of all of them."""


class Disk(NamedTuple):
    """The disk that a database is on."""

    free_bytes: int
    """With what is unused in the database's own file."""
    size_bytes: int


class Tally:
    """Numbers of items and their bytes, in all and by channel.

    Only of so many channels: where more have something, the half of them that has least is forgotten,
    and counts from nothing when something is added. So names that senders make up take no memory.
    """

    __slots__ = ("_channels", "bytes", "items")

    def __init__(self) -> None:
        self.items = 0
        self.bytes = 0
        self._channels: dict[str, list[int]] = {}

    @property
    def channels(self) -> Collection[str]:
        """Those that have something."""
        return self._channels.keys()

    def of(self, channel: str) -> Sequence[int]:
        """Items and bytes."""
        return self._channels.get(channel, _NONE)

    def largest(self, most: int) -> Sequence[tuple[str, Sequence[int]]]:
        """The channels with most items, and their items and bytes."""
        return nlargest(most, self._channels.items(), key=lambda entry: entry[1][0])

    def add(self, channel: str, items: int, size_bytes: int) -> None:
        """So many more; fewer, if negative. Never fewer than none: other programs remove, too."""
        self.items += items
        self.bytes += size_bytes
        if self.items <= 0:
            self.items = self.bytes = 0
        count = self._channels.get(channel)
        if count is None:
            if items > 0:
                self._channels[channel] = [items, size_bytes]
                if len(self._channels) > MOST_CHANNELS:
                    self._forget_half()
        elif count[0] + items > 0:
            count[0] += items
            count[1] += size_bytes
        else:
            del self._channels[channel]

    def _forget_half(self) -> None:
        ranked = sorted(self._channels.items(), key=lambda entry: entry[1][1])
        self._channels = dict(ranked[len(ranked) // 2 :])


class Stock:
    """Counts what a store has, and what is on its way there, and says what is too much.

    The store tells of all that it adds and removes. What was there before, and what other programs add
    and remove, is known from its counts: portion by portion, in the order of the ids, while the rest
    goes on. Until the first one is through, only what has been added since the start is known.
    """

    def __init__(self) -> None:
        self.limits = Limits()
        """To be replaced as a whole: the store's thread reads it."""
        self._coming: set[Coming] = set()
        """What is on its way, and is in `_known` already."""
        self._known = Tally()
        self._next: Tally | None = None
        self._counted_to = 0
        self._refused: Counter[tuple[str, str]] = Counter()
        self._was_told = False
        self.has_refused = False
        """Whether something was too many since the last count has begun."""

    @property
    def items(self) -> int:
        """How many items are in the store, or on their way there."""
        return self._known.items

    @property
    def bytes(self) -> int:
        """How large they are."""
        return self._known.bytes

    @property
    def is_counting(self) -> bool:
        """Whether a count is under way."""
        return self._next is not None

    @property
    def channels(self) -> Collection[str]:
        """Those of which it is known that something waits there; as long as nothing is added or removed."""
        return self._known.channels

    def of(self, channel: str) -> tuple[int, int]:
        """Items and bytes of one channel."""
        items, size_bytes = self._known.of(channel)
        return items, size_bytes

    def largest(self, most: int) -> Sequence[tuple[str, Sequence[int]]]:
        """The channels on which most waits, and their items and bytes."""
        return self._known.largest(most)

    # What the store tells

    def begin(self, coming: Coming, within: ChannelSettings | None) -> StoreError | None:
        """So much is to be added; why not, if it is refused. See MessageStore.append for `within`."""
        channel, items, size_bytes = coming.channel, len(coming.items), coming.size_bytes
        if within is not None:
            too_many = self._too_many(channel, items, size_bytes, within)
            if too_many:
                self.has_refused = True
                self._note_refused("as much waits as may", channel)
                return StoreError(Code.TOO_MANY, too_many)
        self._known.add(channel, items, size_bytes)
        self._coming.add(coming)
        return None

    def finish(self, coming: Coming, ids: Sequence[int], stored_bytes: int) -> None:
        """What was begun is in the store, with these ids and bytes; without ids: is not."""
        self._coming.discard(coming)
        items, size_bytes = len(coming.items), coming.size_bytes
        if not ids:
            self._known.add(coming.channel, -items, -size_bytes)
            return
        if stored_bytes != size_bytes:
            self._known.add(coming.channel, 0, stored_bytes - size_bytes)
        if self._next is not None and ids[0] <= self._counted_to:
            self._next.add(coming.channel, items, stored_bytes)

    def removed(self, rows: Iterable[Rows]) -> None:
        """These are not in the store any more."""
        for channel, items, size_bytes, is_counted in rows:
            self._known.add(channel, -items, -size_bytes)
            if self._next is not None and is_counted:
                self._next.add(channel, -items, -size_bytes)

    def no_room(self, channel: str) -> None:
        """Something was refused since the disk has too little room left."""
        self._note_refused("the disk has less room left than min_free_disk_bytes", channel)

    # Counting

    def begin_count(self) -> None:
        """All is counted again, from the first row on."""
        self._next, self._counted_to = Tally(), 0
        self.has_refused = False

    def counted(self, rows: Iterable[Rows], last_id: int | None) -> None:
        """A portion of the count, up to this id; None: there are no more rows."""
        tally = self._next
        if tally is None:
            return
        for each in rows:
            tally.add(each.channel, each.items, each.bytes)
        if last_id is None:
            for coming in self._coming:
                tally.add(coming.channel, len(coming.items), coming.size_bytes)
            self._known, self._next = tally, None
        else:
            self._counted_to = last_id

    def give_up_count(self) -> None:
        """What is known stays as it is."""
        self._next = None

    # The rule, and what it has refused

    def _too_many(self, channel: str, items: int, size_bytes: int, within: ChannelSettings) -> str:
        limits, known = self.limits, self._known
        there, there_bytes = known.of(channel)
        if 0 < within.max_waiting_items_per_channel < there + items:
            return f"no more than {within.max_waiting_items_per_channel} items may wait on this channel"
        if 0 < within.max_waiting_bytes_per_channel < there_bytes + size_bytes:
            return f"no more than {within.max_waiting_bytes_per_channel} bytes may wait on this channel"
        if 0 < limits.max_waiting_items < known.items + items:
            return f"no more than {limits.max_waiting_items} items may wait on all channels"
        if 0 < limits.max_waiting_bytes < known.bytes + size_bytes:
            return f"no more than {limits.max_waiting_bytes} bytes may wait on all channels"
        return ""

    def _note_refused(self, why: str, channel: str) -> None:
        is_known = (why, channel) in self._refused or len(self._refused) < _MOST_REFUSED
        self._refused[why, channel if is_known else ""] += 1

    def take_report(self) -> str:
        """What was refused since the last call, in words, or once that nothing was any more; else nothing."""
        refused, self._refused = self._refused, Counter()
        was_told, self._was_told = self._was_told, bool(refused)
        if not refused:
            return "no message was refused in the last minute for want of room" if was_told else ""
        reasons = dict.fromkeys(why for why, _ in refused)
        return "; ".join(
            f"messages refused in the last minute, since {why}: {_ranked(refused, why)}" for why in reasons
        )


def _ranked(refused: Counter[tuple[str, str]], why: str) -> str:
    counts = [(channel, count) for (reason, channel), count in refused.most_common() if reason == why]
    shown = [(channel, count) for channel, count in counts if channel][:MOST_TOLD]
    further = sum(count for _, count in counts) - sum(count for _, count in shown)
    told = [f"{count} on {channel!r}" for channel, count in shown]
    return ", ".join([*told, f"others {further}"] if further else told)


def is_low(disk: Disk, floor_bytes: int | None) -> bool:
    """Whether a disk has less room left than it is to have; None is the default."""
    if floor_bytes is None:
        floor_bytes = min(FLOOR_BYTES, disk.size_bytes // FLOOR_SHARE)
    return disk.free_bytes < floor_bytes
