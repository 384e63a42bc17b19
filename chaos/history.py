"""What has happened so far, read from the records while they are written."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from chaos.items import ALWAYS, Plan, Stream, identify

NOT_CONFIRMED, HANDED_OVER, STORED = 0, 1, 2
"""What is known of a frame: nothing; that receivers were given it; that it is in the store."""
UNPROVED = 0


class Delivery(NamedTuple):
    """An item at a receiver; `proved_us` is UNPROVED if the connection ended before."""

    came_us: int
    proved_us: int


class OutOfOrder(NamedTuple):
    """An item that came on a connection on which a newer one of its stream had come before."""

    stream: Stream
    number: int
    came_us: int
    newer: int
    newer_came_us: int


class Sent:
    """A sender's side."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = bytearray()
        """NOT_CONFIRMED, HANDED_OVER or STORED, by frame."""
        self.confirmed_us = array("q")
        self.confirms_us: list[int] = []
        """When frames were accepted, ascending."""
        self.times: dict[int, int] = {}
        """How often frames were sent that were sent more than once."""
        self.refused: set[int] = set()
        """Frames that were refused at least once."""
        self.odd: list[str] = []

    def confirm(self, frame: int, time_us: int, code: str, stored: int) -> None:
        """A confirm has come."""
        if code != "00":
            self.refused.add(frame)
            return
        if frame >= len(self.state):
            grown = frame + 1024 - len(self.state)
            self.state.extend(bytes(grown))
            self.confirmed_us.extend([0] * grown)
        if not self.state[frame]:
            self.confirmed_us[frame] = time_us
        # A duplicate's confirm says `stored` 0 on any channel.
        is_stored = stored or self.plan.channel(frame).startswith(ALWAYS)
        self.state[frame] = max(self.state[frame], STORED if is_stored else HANDED_OVER)
        self.confirms_us.append(time_us)

    def confirmed(self) -> Iterator[int]:
        """The frames that were accepted."""
        return (frame for frame, state in enumerate(self.state) if state)


class Arrived:
    """A stream's side at the receivers: for each delivery its number, and the times of Delivery."""

    def __init__(self) -> None:
        self.counts = bytearray()
        """How often each number came, up to 255."""
        self.numbers, self.came_us, self.proved_us = array("q"), array("q"), array("q")

    def add(self, number: int, came_us: int) -> int:
        """A delivery; its place in the arrays."""
        if number >= len(self.counts):
            self.counts.extend(bytes(number + 4096 - len(self.counts)))
        self.counts[number] = min(255, self.counts[number] + 1)
        self.numbers.append(number)
        self.came_us.append(came_us)
        self.proved_us.append(UNPROVED)
        return len(self.numbers) - 1

    def of(self, numbers: Iterable[int]) -> Mapping[int, list[Delivery]]:
        """The deliveries of these numbers, in the order of their times."""
        found: dict[int, list[Delivery]] = {number: [] for number in numbers}
        if found:
            for place, number in enumerate(self.numbers):
                if number in found:
                    found[number].append(Delivery(self.came_us[place], self.proved_us[place]))
        for deliveries in found.values():
            deliveries.sort()
        return found


class _Tail:
    """A file that grows: its new whole lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""

    def lines(self) -> list[bytes]:
        data = self._rest + self._file.read()
        *lines, self._rest = data.split(b"\n")
        return lines

    def close(self) -> None:
        self._file.close()


class _SenderFile:
    def __init__(self, path: Path) -> None:
        self._tail = _Tail(path)
        self.sent: Sent | None = None
        self.close = self._tail.close

    def update(self) -> None:
        for line in self._tail.lines():
            kind, *rest = line.decode().split(" ")
            if kind == "H":
                number, channels, items, ids = rest
                self.sent = Sent(Plan(int(number), channels.split(","), int(items), ids == "1"))
            elif self.sent is not None:
                self._take(self.sent, kind, rest)

    def _take(self, sent: Sent, kind: str, rest: list[str]) -> None:
        if kind == "C":
            sent.confirm(int(rest[1]), int(rest[0]), rest[2], int(rest[3]))
        elif kind == "A":
            for frame in map(int, rest[1:]):
                sent.times[frame] = sent.times.get(frame, 1) + 1
        elif kind == "?":
            sent.odd.append(" ".join(rest[1:]))


class _ReceiverFile:
    def __init__(self, path: Path, history: History) -> None:
        self._tail = _Tail(path)
        self.close = self._tail.close
        self._history = history
        self._streams = history.streams
        self._channels: list[str] = []
        self._unproved: list[tuple[Arrived, int]] = []
        self._newest: dict[Stream, tuple[int, int]] = {}

    def update(self) -> None:
        for line in self._tail.lines():
            kind, time, payload = (line + b"  ").split(b" ", 2)
            if kind == b"D":
                self._received(int(time), payload)
            elif kind == b"P":
                self._proved(int(time))
            elif kind in {b"O", b"X"}:
                self._unproved.clear()
                self._newest.clear()
                if kind == b"X":
                    for channel in self._channels:
                        self._history.ends_us.setdefault(channel, []).append(int(time))
            elif kind == b"H":
                self._channels = time.decode().split(",")

    def _received(self, time_us: int, payload: bytes) -> None:
        try:
            frame = msgspec.json.decode(payload)
        except msgspec.DecodeError:
            return  # killed while it wrote this line
        redelivered = frame.get("redelivered", False)
        for item in frame["data"]:
            sender, number = identify(item)
            stream = Stream(sender, frame["channel"])
            arrived = self._streams.get(stream)
            if arrived is None:
                arrived = self._streams[stream] = Arrived()
            self._unproved.append((arrived, arrived.add(number, time_us)))
            newest = self._newest.get(stream, (-1, 0))
            if number > newest[0]:
                self._newest[stream] = number, time_us
            elif not redelivered:
                self._history.disorder.append(OutOfOrder(stream, number, time_us, *newest))

    def _proved(self, time_us: int) -> None:
        for arrived, place in self._unproved:
            arrived.proved_us[place] = time_us
        self._unproved.clear()


class History:
    """All records of a folder: `sender-*` and `receiver-*`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, _SenderFile | _ReceiverFile] = {}
        self.streams: dict[Stream, Arrived] = {}
        self.ends_us: dict[str, list[int]] = {}
        """When connections of receivers ended, by channel."""
        self.disorder: list[OutOfOrder] = []

    @property
    def senders(self) -> Mapping[int, Sent]:
        """By their numbers."""
        files = [file for file in self._files.values() if isinstance(file, _SenderFile)]
        return {file.sent.plan.sender: file.sent for file in files if file.sent is not None}

    def update(self) -> None:
        """Read what has been written since the last time."""
        for path in sorted(self._folder.glob("sender-*")):
            if path not in self._files:
                self._files[path] = _SenderFile(path)
        for path in sorted(self._folder.glob("receiver-*")):
            if path not in self._files:
                self._files[path] = _ReceiverFile(path, self)
        for file in self._files.values():
            file.update()

    def confirms_us(self) -> list[int]:
        """When confirms came, ascending."""
        return sorted(time for sent in self.senders.values() for time in sent.confirms_us)

    def missing(self) -> Iterator[tuple[Stream, int, int, int]]:
        """(stream, number, frame, state) of each item that was confirmed and has not come."""
        for sent in self.senders.values():
            plan = sent.plan
            for frame in sent.confirmed():
                stream = Stream(plan.sender, plan.channel(frame))
                arrived = self.streams.get(stream)
                counts = arrived.counts if arrived is not None else b""
                for number in plan.numbers(frame):
                    if number >= len(counts) or not counts[number]:
                        yield stream, number, frame, sent.state[frame]

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def any_between(times: list[int], first: int, last: int) -> bool:
    """Whether one of the ascending `times` is within [first, last]."""
    place = bisect.bisect_left(times, first)
    return place < len(times) and times[place] <= last
