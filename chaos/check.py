"""What was lost, came twice or out of order.

*Lost*: confirmed, and never came though all was given time to drain. Apart from them stands what was
*handed over*: an item of a channel with `keep_data = true` whose confirm says `stored` 0 was given to a
connection and nowhere else. If the broker dies within HANDED_S of that confirm, the item may be gone with it.
(So receivers are with such a channel only in phases without kills of the broker, as far as it goes: a visit
may end just before one.) Where the broker was not killed, such an item counts as lost like any other.

*Twice*: each further delivery of an item. It is *allowed*, once for each delivery before it that was not
proved when its connection ended, or was proved less than GRACE_S before the connection or the broker ended
(the proof may not have arrived or, the longer if the database was away, not have been committed); and once
for each further time that the frame was sent without a message id. Any other is wrong, so that with message
ids nothing may be stored twice.

*Out of order*: on one connection, an item that comes for the first time after a newer one of its sender and
channel. Not counted: redeliveries, known by their mark or by the end of another connection of the channel
in the meantime (the dead may have had it); and frames that were once refused, which were sent again later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from chaos.history import HANDED_OVER, UNPROVED, Delivery, History, Sent, any_between
from chaos.items import Stream

GRACE_S = 2.0
HANDED_S = 5.0
NEAR_S = 0.5
_EXAMPLES = 5
_SECOND_US = 1_000_000


@dataclass(frozen=True)
class Fault:
    """Something that was done; `mended_us` is when what it broke was set going again.

    None for what needs no mending before the next confirm can come.
    """

    what: str
    began_us: int
    mended_us: int | None


@dataclass
class Verdict:
    """The counts, in items; `examples` has a line for some of each that is wrong."""

    confirmed: int = 0
    lost: int = 0
    handed_over: int = 0
    doubled: int = 0
    doubled_wrongly: int = 0
    out_of_order: int = 0
    odd: int = 0
    """Confirms that nobody had asked for."""
    recoveries_s: list[float] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How much there is that must not be."""
        return self.lost + self.doubled_wrongly + self.out_of_order + self.odd

    @property
    def recovery(self) -> tuple[float, float] | None:
        """(median, longest) in seconds from a restart to the first confirm."""
        return (median(self.recoveries_s), max(self.recoveries_s)) if self.recoveries_s else None


class _Check:
    def __init__(self, history: History, faults: Sequence[Fault]) -> None:
        self.history = history
        self.senders = history.senders
        self.verdict = Verdict()
        self.faults = faults
        self.kills_us = [fault.began_us for fault in faults if fault.what in BROKER_FAULTS]
        self.ends_us = {channel: sorted(times) for channel, times in history.ends_us.items()}

    def run(self) -> Verdict:
        self.count_confirmed()
        self.find_lost()
        for stream, arrived in self.history.streams.items():
            doubles = [number for number, count in enumerate(arrived.counts) if count > 1]
            for number, deliveries in arrived.of(doubles).items():
                self.judge_doubled(stream, number, deliveries)
        self.find_disorder()
        self.find_recoveries()
        return self.verdict

    def count_confirmed(self) -> None:
        for sent in self.senders.values():
            self.verdict.confirmed += sum(1 for _ in sent.confirmed()) * sent.plan.items
            self.verdict.odd += len(sent.odd)
            self.verdict.examples += sent.odd[:_EXAMPLES]

    def find_lost(self) -> None:
        for stream, number, frame, state in self.history.missing():
            sent = self.senders[stream.sender]
            at_us = sent.confirmed_us[frame]
            if state == HANDED_OVER and any_between(self.kills_us, at_us - _SECOND_US, at_us + _us(HANDED_S)):
                self.verdict.handed_over += 1
                continue
            self.verdict.lost += 1
            said = "handed over" if state == HANDED_OVER else "stored"
            self.example(self.verdict.lost, f"lost: {_name(stream, number)}, confirmed as {said} at {at_us}")

    def judge_doubled(self, stream: Stream, number: int, deliveries: Sequence[Delivery]) -> None:
        copies = _times_stored(self.senders.get(stream.sender), stream, number)
        allowed = copies
        for before, after in pairwise(deliveries):
            # Of one copy, only what happened before the next delivery can be its reason.
            until_us = after.came_us if copies == 1 else deliveries[-1].came_us
            allowed += self.is_open(stream.channel, before, until_us)
        self.verdict.doubled += len(deliveries) - 1
        if len(deliveries) > allowed:
            self.verdict.doubled_wrongly += len(deliveries) - allowed
            told = "; ".join(f"came at {came}, proved at {proved or '-'}" for came, proved in deliveries)
            self.example(self.verdict.doubled_wrongly, f"twice: {_name(stream, number)} {told}")

    def is_open(self, channel: str, delivery: Delivery, until_us: int) -> bool:
        """Whether the broker had to deliver it again, for something that happened before `until_us`."""
        came_us, proved_us = delivery
        if proved_us == UNPROVED:
            return True
        ended_us = min(proved_us + _us(GRACE_S), until_us + _us(NEAR_S))
        killed_us = min(self.committed_us(proved_us) + _us(GRACE_S), until_us)
        return any_between(self.ends_us.get(channel, []), came_us, ended_us) or any_between(
            self.kills_us, came_us, killed_us
        )

    def committed_us(self, proved_us: int) -> int:
        """About when a proof could be committed, at the latest."""
        for fault in self.faults:
            if fault.what not in DATABASE_FAULTS or fault.mended_us is None:
                continue
            if fault.began_us <= proved_us + _us(GRACE_S) and proved_us <= fault.mended_us:
                proved_us = fault.mended_us + _us(GRACE_S)
        return proved_us

    def find_disorder(self) -> None:
        by_stream: dict[Stream, set[int]] = {}
        for one in self.history.disorder:
            by_stream.setdefault(one.stream, set()).add(one.number)
        came = {
            (stream, number): deliveries
            for stream, numbers in by_stream.items()
            for number, deliveries in self.history.streams[stream].of(numbers).items()
        }
        for one in self.history.disorder:
            times = sum(delivery.came_us <= one.came_us for delivery in came[one.stream, one.number])
            ends_us = self.ends_us.get(one.stream.channel, [])
            ended = any_between(ends_us, one.newer_came_us - _us(NEAR_S), one.came_us + _us(NEAR_S))
            if times > 1 or ended or self.was_refused(one.stream, one.number):
                continue
            self.verdict.out_of_order += 1
            told = f"came at {one.came_us}, after {one.newer} at {one.newer_came_us}"
            self.example(self.verdict.out_of_order, f"out of order: {_name(one.stream, one.number)} {told}")

    def was_refused(self, stream: Stream, number: int) -> bool:
        sent = self.senders.get(stream.sender)
        return sent is not None and sent.plan.frame(stream.channel, number) in sent.refused

    def find_recoveries(self) -> None:
        confirms = self.history.confirms_us()
        place = 0
        for fault in self.faults:
            if fault.mended_us is None:
                continue
            while place < len(confirms) and confirms[place] <= fault.mended_us:
                place += 1
            if place < len(confirms):
                self.verdict.recoveries_s.append((confirms[place] - fault.mended_us) / _SECOND_US)

    def example(self, count: int, text: str) -> None:
        if count <= _EXAMPLES:
            self.verdict.examples.append(text)


BROKER_FAULTS = frozenset({"broker killed", "broker stopped", "power cut"})
DATABASE_FAULTS = frozenset({"database killed", "database frozen", "fsync failing"})


def check(history: History, faults: Sequence[Fault]) -> Verdict:
    """Judge a history; `faults` in the order of their times."""
    return _Check(history, faults).run()


def _times_stored(sent: Sent | None, stream: Stream, number: int) -> int:
    """How often an item may have been stored."""
    if sent is None or sent.plan.with_ids:
        return 1
    return sent.times.get(sent.plan.frame(stream.channel, number), 1)


def _name(stream: Stream, number: int) -> str:
    return f"item {number} of sender {stream.sender} on {stream.channel}"


def _us(seconds: float) -> int:
    return int(seconds * _SECOND_US)
