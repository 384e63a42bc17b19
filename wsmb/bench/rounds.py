"""One round of a load over open connections: what is due is sent, what arrives is counted."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence

from wsmb.bench.connections import Connections
from wsmb.bench.ends import Sender
from wsmb.bench.load import Load, expected
from wsmb.bench.opening import BenchError
from wsmb.bench.results import Round

QUIET_S = 3.0
"""If nothing has arrived for so long after the last message was sent, the rest is taken for lost."""
TICK_S = 0.1
MOST_EVENTS = 256

Progress = Callable[[float, int], None]
"""Told ten times a second: which part of the round is over (0 to 1), and how many deliveries there were."""


def no_progress(part: float, deliveries: int) -> None:
    """For those who do not want to know."""


class OneRound:
    """One round of `load`; to be carried out once."""

    def __init__(self, load: Load, connections: Connections, progress: Progress = no_progress) -> None:
        self._load = load
        self._connections = connections
        self._progress = progress
        self._pace = load.pace()
        self._waiting_for_writing: set[Sender] = set()
        self._sent = 0
        self._arrived = 0  # deliveries
        self._arrived_at = 0.0
        self._started = 0.0
        self._next_tick = 0.0
        self._next_sender = 0

    def carry_out(self) -> Round:
        """Do it. Raises BenchError."""
        self._connections.begin()
        cpu_s = time.process_time()
        self._started = time.perf_counter()
        while self._send():
            self._receive(self._pace.wait_s(self._now(), self._sent))
        sent_at = self._now()
        self._await_rest()
        cpu_s = time.process_time() - cpu_s
        self._await_answers()
        self._progress(1.0, self._arrived)
        return self._counted(max(sent_at, self._arrived_at), cpu_s)

    def _now(self) -> float:
        return time.perf_counter() - self._started

    # Out

    def _send(self) -> bool:
        """Send what is due; whether more will be."""
        now = self._now()
        load = self._load
        if self._part(now) >= 1:
            return False
        due = self._pace.due(now, self._sent, self._arrived // load.deliveries_a_message)
        if load.messages is not None:
            due = min(due, load.messages - self._sent)
        if due:
            self._deal_out(due)
        self._tick(now)
        return True

    def _part(self, now: float) -> float:
        load = self._load
        if load.messages is not None:
            return self._sent / load.messages
        return now / (load.seconds or 1)

    def _deal_out(self, due: int) -> None:
        senders = self._connections.senders
        share = -(-due // len(senders))
        while due:
            sender = senders[self._next_sender]
            self._next_sender = (self._next_sender + 1) % len(senders)
            self._put(sender, min(due, share))
            due -= min(due, share)

    def _put(self, sender: Sender, count: int) -> None:
        every = self._load.every
        while count:
            sequence = self._sent
            run = min(count, -sequence % every)
            if run:
                sender.put(run)
            else:
                run = 1
                sender.put_timed(lambda: self._stamp(sequence))  # noqa: B023 (called at once)
            self._sent += run
            count -= run
        sender.flush()
        if sender.is_blocked:
            self._wait_for_writing(sender)

    def _stamp(self, sequence: int) -> float:
        return self._started + self._pace.stamp(sequence, self._now)

    def _wait_for_writing(self, sender: Sender) -> None:
        if sender not in self._waiting_for_writing:
            self._waiting_for_writing.add(sender)
            self._connections.poll.modify(sender.socket, select.EPOLLIN | select.EPOLLOUT)

    # In

    def _receive(self, wait_s: float) -> None:
        """Take what has come, or comes within `wait_s`."""
        connections = self._connections
        if self._load.rate is not None and wait_s > 0:
            select.select([connections.poll], [], [], wait_s)  # epoll's own wait is in milliseconds
            wait_s = 0
        before = self._arrived
        for descriptor, mask in connections.poll.poll(wait_s, MOST_EVENTS):
            self._arrived += connections.by_descriptor[descriptor].ready(mask)
        if self._arrived > before:
            self._arrived_at = self._now()
        for sender in [sender for sender in self._waiting_for_writing if not sender.is_blocked]:
            self._waiting_for_writing.remove(sender)
            connections.poll.modify(sender.socket, select.EPOLLIN)

    def _await_rest(self) -> None:
        """Wait for all that was sent, or until nothing comes any more."""
        all_of_it = self._sent * self._load.deliveries_a_message
        quiet_since = self._now()
        while self._arrived < all_of_it or self._waiting_for_writing:
            self._receive(TICK_S)
            now = self._now()
            self._tick(now)
            if now - max(self._arrived_at, quiet_since) > QUIET_S:
                return

    def _await_answers(self) -> None:
        """Find what comes too often: the answer to a ping is behind it."""
        asked = self._connections.receivers
        for receiver in asked:
            receiver.ask()
        while not all(receiver.has_answered for receiver in asked):
            self._receive(TICK_S)
            self._tick(self._now())

    def _tick(self, now: float) -> None:
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_S
        self._progress(min(1.0, self._part(now)), self._arrived)
        if now > self._load.timeout_s:
            share = self._arrived / max(1, self._sent * self._load.deliveries_a_message)
            raise BenchError(f"not done in {self._load.timeout_s:g} s (--timeout); {share:.0%} has arrived")

    # In the end

    def _counted(self, elapsed_s: float, cpu_s: float) -> Round:
        load = self._load
        if load.confirm:
            return self._round([self._arrived], [self._sent], elapsed_s, cpu_s)
        received = [receiver.received for receiver in self._connections.receivers]
        if load.goes_to_all:
            wanted = expected([sender.sent for sender in self._connections.senders], load)
        else:
            received, wanted = [sum(received)], [self._sent * load.deliveries_a_message]
        return self._round(received, wanted, elapsed_s, cpu_s)

    def _round(self, received: Sequence[int], wanted: Sequence[int], elapsed_s: float, cpu_s: float) -> Round:
        gaps = [want - got for want, got in zip(wanted, received, strict=True)]
        return Round(
            messages=self._sent,
            deliveries=sum(received),
            lost=sum(gap for gap in gaps if gap > 0),
            duplicated=-sum(gap for gap in gaps if gap < 0),
            elapsed_s=elapsed_s,
            cpu_s=cpu_s,
            latencies_s=self._connections.samples.latencies_s,
        )
