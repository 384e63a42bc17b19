"""What many tests need: a peer that remembers, a store under the test's control, small builders."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from unittest import SkipTest

from wsmb.errors import CloseCode, StoreError
from wsmb.figures import StoreFigures
from wsmb.frames import Bundle
from wsmb.interfaces import StoredItem
from wsmb.settings import ChannelSettings
from wsmb.stock import Rows, Stock
from wsmb.store.operations import Append


def skipped(reason: str) -> Exception:
    """What skips a test; in CI, where nothing may be skipped, what fails it."""
    if os.environ.get("WSMB_TEST_NO_SKIP") == "1":
        return RuntimeError(f"{reason}, and WSMB_TEST_NO_SKIP forbids to skip")
    return SkipTest(reason)


def need(*programs: str) -> None:
    """Skip the test where one of these is not installed."""
    for name in programs:
        if shutil.which(name) is None:
            raise skipped(f"{name} is not installed")


def parse_frames(data: bytes) -> list[tuple[int, bytes]]:
    """(first byte, payload) of each unmasked frame in `data`, which holds whole frames only."""
    found = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + size:
            raise AssertionError(f"half a frame: {data!r}")
        found.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return found


class RecordingPeer:
    """A Peer that remembers what it was sent."""

    def __init__(self, name: str = "peer") -> None:
        self.name = name
        self.frames: list[bytes | Bundle] = []
        self.full = False
        self.paused = False
        self.ended: CloseCode | None = None
        self.pings: list[bytes] = []

    def __repr__(self) -> str:
        return self.name

    def send_frame(self, frame: bytes) -> None:
        self.frames.append(frame)

    def send_bundle(self, bundle: Bundle) -> None:
        self.frames.append(bundle)

    def is_full(self) -> bool:
        return self.full

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def end(self, code: CloseCode) -> None:
        self.ended = code

    def payloads(self) -> list[bytes]:
        """The payloads that came since the last call; all in unfragmented text frames, pings aside."""
        pieces, self.frames = self.frames, []
        taken = b"".join(piece.seal() if isinstance(piece, Bundle) else piece for piece in pieces)
        found = parse_frames(taken)
        if {first for first, _ in found} - {0x81, 0x89}:
            raise AssertionError(f"not only text frames and pings: {found}")
        self.pings += [payload for first, payload in found if first == 0x89]
        return [payload for first, payload in found if first == 0x81]

    def items(self) -> list[object]:
        """All items of the `send-message` frames that came since the last call, in order."""
        commands = [json.loads(payload) for payload in self.payloads()]
        return [item for one in commands if one["command"] == "send-message" for item in one["data"]]


class SteppedStore:
    """A MessageStore whose operations are carried out when the test says `step`, in their order."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, bytes]] = {}
        self.expiry: dict[int, float] = {}
        self.tries: dict[int, int] = {}
        self.age_of: dict[str, float] = {}
        """Channels and what `ages` is to tell of them."""
        self.asked_ages: list[Sequence[str]] = []
        self.keys: list[tuple[bytes, float]] = []
        self.figures = StoreFigures()
        self.last_id = 0
        self.answers = True
        self.failing: StoreError | None = None
        self.stock = Stock()
        self._operations: deque[Callable[[], None]] = deque()

    def insert(self, item_id: int, channel: str, data: bytes) -> None:
        """Another program adds a row."""
        self.rows[item_id] = (channel, data)

    def append(
        self,
        channel: str,
        items: Sequence[bytes],
        done: Callable[[Sequence[int] | StoreError], None],
        *,
        expires_at: float | None = None,
        key: bytes | None = None,
        within: ChannelSettings | None = None,
    ) -> None:
        append = Append(channel, items, done)
        refusal = self.stock.begin(append, within)

        def carry_out() -> None:
            if refusal is not None:
                done(refusal)
                return
            if self.failing is not None:
                self.stock.finish(append, (), 0)
                done(self.failing)
                return
            ids = range(self.last_id + 1, self.last_id + 1 + len(items))
            self.rows.update(zip(ids, ((channel, item) for item in items), strict=True))
            self.last_id += len(items)
            if expires_at is not None:
                self.expiry.update((item_id, expires_at) for item_id in ids)
            if key is not None:
                self.keys.append((key, 0.0))
            self.stock.finish(append, ids, append.size_bytes)
            done(ids)

        self._operations.append(carry_out)

    def remove(self, item_ids: Sequence[int]) -> None:
        def carry_out() -> None:
            for item_id in item_ids:
                channel, data = self.rows.pop(item_id, ("", b""))
                self.stock.removed([Rows(channel, 1, len(data))] if channel else [])

        self._operations.append(carry_out)

    def note_tries(self, tries: Mapping[int, int]) -> None:
        self._operations.append(lambda: self.tries.update(tries))

    def page(
        self,
        channel: str,
        after_id: int,
        max_items: int,
        max_bytes: int,
        done: Callable[[Sequence[StoredItem] | StoreError], None],
    ) -> None:
        def carry_out() -> None:
            if self.failing is not None:
                done(self.failing)
                return
            found = [
                StoredItem(item_id, data, self.tries.get(item_id, 0), self.expiry.get(item_id))
                for item_id, (name, data) in sorted(self.rows.items())
                if name == channel and item_id > after_id
            ]
            done(found[:max_items])

        self._operations.append(carry_out)

    def ages(self, channels: Sequence[str], done: Callable[[Mapping[str, float] | StoreError], None]) -> None:
        self.asked_ages.append(channels)

        def carry_out() -> None:
            found = {name: self.age_of[name] for name in channels if name in self.age_of}
            done(found if self.failing is None else self.failing)

        self._operations.append(carry_out)

    def check(self, done: Callable[[bool], None]) -> None:
        self._operations.append(lambda: done(self.answers))

    def close(self, done: Callable[[], None]) -> None:
        self._operations.append(done)

    @property
    def is_busy(self) -> bool:
        """Whether there is an operation to carry out."""
        return bool(self._operations)

    def step(self, count: int = 1) -> None:
        """Carry out the next operations."""
        for _ in range(count):
            self._operations.popleft()()

    def step_last(self) -> None:
        """Carry out the newest operation before the others."""
        self._operations.pop()()

    def settle(self) -> None:
        """Carry out all operations, and those that come of them."""
        while self._operations:
            self.step()

    def waiting(self, channel: str) -> list[object]:
        """The items in the store for `channel`."""
        return [json.loads(data) for _, (name, data) in sorted(self.rows.items()) if name == channel]
