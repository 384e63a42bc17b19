"""Events: what the broker tells of its channels, on the channel `$events` and to webhooks (docs/events.md).

They go by time: once a second what waits and who receives is looked at. So a message costs nothing for
them, what changes back within a second is not told, and of each channel there is no more than one event
of a kind a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from wsmb.broker import Broker
from wsmb.errors import StoreError
from wsmb.settings import ChannelSettings, Settings

CHANNEL = "$events"
KINDS = ("no-receiver", "receiver-back", "waiting", "waiting-over", "receiver-came", "receiver-went")
LOOK_S = 1.0
MOST_A_LOOK = 200
"""Events of one look; what is still true is told by the next one."""
MOST_MOVES = 10_000
"""Channels whose receivers have come and gone lately."""
LONGEST_REST_S = 60.0
"""Between two looks that tell of the same channel's receivers, if they come and go all the time."""
QUIET_S = 10.0
"""After so long without any they are told of at once again."""

_encode = msgspec.json.encode
Tell = Callable[[Sequence[bytes]], None]


class _Watched:
    """A channel on which something waits, or of which something has been told."""

    __slots__ = (
        "alone_since_s",
        "is_told_alone",
        "is_told_waiting",
        "no_receiver_s",
        "waiting_items",
        "was_visited",
    )

    def __init__(self, settings: ChannelSettings) -> None:
        self.use_settings(settings)
        self.alone_since_s: float | None = None
        self.is_told_alone = False
        self.is_told_waiting = False
        self.was_visited = False  # by a receiver that may be gone again at the next look

    def use_settings(self, settings: ChannelSettings) -> None:
        # That nobody looks after dead letters all the time is as it should be.
        self.no_receiver_s = 0.0 if settings.is_dead_letters else settings.no_receiver_seconds
        self.waiting_items = settings.waiting_items

    @property
    def is_told(self) -> bool:
        return self.is_told_alone or self.is_told_waiting


class _Moves:
    """Receivers of one channel that came and went and have not been told of. What is told again and again is
    told ever more rarely."""

    __slots__ = ("_rest_s", "_told_s", "came", "went")

    def __init__(self) -> None:
        self.came = self.went = 0
        self._told_s: float | None = None
        self._rest_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """Whether there is something that is to be told now."""
        return bool(self.came or self.went) and (self._told_s is None or now_s - self._told_s >= self._rest_s)

    def told(self, now_s: float) -> None:
        """It has been told."""
        self.came = self.went = 0
        self._told_s = now_s
        self._rest_s = min(2 * self._rest_s or LOOK_S, LONGEST_REST_S)

    def is_quiet(self, now_s: float) -> bool:
        """Whether it may be forgotten."""
        quiet_s = max(QUIET_S, 2 * self._rest_s)
        return not (self.came or self.went) and self._told_s is not None and now_s - self._told_s >= quiet_s


class Events:
    """Looks, and tells. `boot`: what the ids of this start's events begin with; `post` gets the events for
    webhooks, as JSON texts."""

    def __init__(self, broker: Broker, settings: Settings, post: Tell, boot: str) -> None:
        self._broker = broker
        self._post = post
        self._boot = boot
        self._number = 0
        self._watched: dict[str, _Watched] = {}
        self._moves: dict[str, _Moves] = {}
        self.raised: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        """Events that were told, by kind."""
        self.lost = 0
        """Events that could not be told, or kept on the channel: for want of room, or as the store did not
        take them."""
        self._lost_taken = 0
        self.use_settings(settings)

    def use_settings(self, settings: Settings) -> None:
        """From now on these count, for what is here already as well."""
        self._settings = settings
        every = (settings.default_channel, *(each for _, each in settings.channels))
        self._looks = any(each.no_receiver_seconds or each.waiting_items for each in every)
        self._tells_moves = any(each.receiver_events for each in every)
        self._broker.channels.moved = self._note_move if self._looks or self._tells_moves else None
        for name, watched in self._watched.items():
            watched.use_settings(settings.channel(name))

    def _note_move(self, name: str, change: int) -> None:
        watched = self._watched.get(name)
        if watched is not None:
            watched.was_visited = True
        if self._tells_moves:
            self._count_move(name, change)

    def _count_move(self, name: str, change: int) -> None:
        moves = self._moves.get(name)
        if moves is None:
            if len(self._moves) >= MOST_MOVES:
                self.lost += 1
                return
            moves = self._moves[name] = _Moves()
        if change > 0:
            moves.came += change
        else:
            moves.went -= change

    def look(self, now_s: float) -> None:
        """Tell what has changed. To be called every LOOK_S; `now_s`: seconds, monotonic."""
        if self._broker.is_stopping:
            return
        events: list[bytes] = []
        if self._looks or self._watched:
            self._look_at_stock(events, now_s)
        self._tell_moves(events, now_s)  # with what room there is: of these there can be more at each look
        if events:
            self._tell(events)

    def _tell_moves(self, events: list[bytes], now_s: float) -> None:
        for name, moves in list(self._moves.items()):
            if len(events) >= MOST_A_LOOK:
                break
            if not moves.is_due(now_s):
                if moves.is_quiet(now_s):
                    del self._moves[name]
                continue
            del self._moves[name]
            if name.startswith("$") or not self._settings.channel(name).receiver_events:
                continue
            if moves.came:
                events.append(self._event("receiver-came", name, number=moves.came))
            if moves.went:
                events.append(self._event("receiver-went", name, number=moves.went))
            moves.told(now_s)
            self._moves[name] = moves  # behind those that wait

    def _look_at_stock(self, events: list[bytes], now_s: float) -> None:
        stock, watched = self._broker.store.stock, self._watched
        there = stock.channels
        for name in [*there, *(name for name in watched if name not in there)]:
            if len(events) >= MOST_A_LOOK:
                break
            one = watched.get(name)
            if one is None:
                if name.startswith("$"):
                    continue
                one = watched[name] = _Watched(self._settings.channel(name))
            items, _ = stock.of(name)
            if one.no_receiver_s or one.is_told_alone:
                self._look_at_receivers(events, name, one, items, now_s)
            if one.waiting_items or one.is_told_waiting:
                self._look_at_items(events, name, one, items)
            if not items and not one.is_told:
                del watched[name]

    def _look_at_receivers(
        self, events: list[bytes], name: str, one: _Watched, items: int, now_s: float
    ) -> None:
        was_visited, one.was_visited = one.was_visited, False
        if not items or not one.no_receiver_s or was_visited or self._broker.channels.receivers(name):
            since_s, one.alone_since_s = one.alone_since_s, None
            if one.is_told_alone:
                one.is_told_alone = False
                alone_s = now_s - (now_s if since_s is None else since_s)
                events.append(self._event("receiver-back", name, seconds=int(alone_s)))
        elif one.alone_since_s is None:
            one.alone_since_s = now_s
        elif not one.is_told_alone and now_s - one.alone_since_s >= one.no_receiver_s:
            one.is_told_alone = True
            events.append(self._event("no-receiver", name, seconds=int(now_s - one.alone_since_s)))

    def _look_at_items(self, events: list[bytes], name: str, one: _Watched, items: int) -> None:
        limit = one.waiting_items
        if not one.is_told_waiting:
            if limit < items:
                one.is_told_waiting = True
                events.append(self._event("waiting", name, limit=limit))
        elif not limit or items <= limit // 2:
            # Not at once below the limit: around it, they would come and go.
            one.is_told_waiting = False
            events.append(self._event("waiting-over", name, limit=limit))

    def _event(self, event: str, name: str, **numbers: int) -> bytes:
        self._number += 1
        self.raised[event] += 1
        items, size_bytes = self._broker.store.stock.of(name)
        return _encode(
            {
                "event": event,
                "id": f"{self._boot}-{self._number}",
                "channel": name,
                "time": self._broker.time_stamp(),
                "receivers": self._broker.channels.receivers(name),
                "waiting": items,
                "waiting_bytes": size_bytes,
                **numbers,
            }
        )

    def _tell(self, events: Sequence[bytes]) -> None:
        self._post(events)
        most = self._settings.channel(CHANNEL).max_waiting_items_per_channel
        waiting, _ = self._broker.store.stock.of(CHANNEL)

        def kept(error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
            if error is not None:
                self.lost += len(events)

        if 0 < most < waiting + len(events):
            self.lost += len(events)
        else:
            self._broker.put(CHANNEL, events, kept)

    def take_lost(self) -> int:
        """How many were lost since the last call."""
        lost = self.lost - self._lost_taken
        self._lost_taken = self.lost
        return lost
