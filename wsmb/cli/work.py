"""The items that `wsmb receive --exec` has in its hands: which is next, and what the broker is told. No I/O.

A frame is acknowledged when the commands of all its items have ended well. When one has not, the frame is
rejected as a whole, for the protocol knows no smaller unit: a broker that keeps the channel then sends its
items one by one. What has ended well without being acknowledged (its frame was rejected, the connection
broke) is remembered, so that the same process does not run it again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from itertools import islice

SPLIT_S = 0.1
"""Of a frame that is given back with a delay, however short, items that are kept come one by one."""
LONGEST_RETRY_S = 300.0
REMEMBER_S = 600.0
MOST_REMEMBERED = 10_000


class Outcome(Enum):
    """How the command of an item has ended."""

    DONE = "done"
    FAILED = "failed"
    """Another try may help."""
    DEAD = "dead"
    """No other try will."""


@dataclass(eq=False, slots=True)
class Job:
    """One item. `frame` is None while its command runs for a frame that is not this process's any more."""

    channel: str
    item: bytes
    is_redelivered: bool
    frame: Frame | None
    key: bytes
    is_begun: bool = False
    outcome: Outcome | None = None
    remembered_until: float = 0.0


@dataclass(eq=False, slots=True)
class Frame:
    """One delivery. `number` is None where the broker asks for no acknowledgement."""

    number: int | None
    begin_until: float
    jobs: list[Job] = field(default_factory=list)
    is_given_up: bool = False
    """What of it has not begun will not begin."""
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say of the delivery `number`: done; or not, and try again after `delay_s`, or never (None)."""

    number: int
    is_done: bool
    delay_s: float | None = 0.0


def _key(channel: str, item: bytes) -> bytes:
    name = channel.encode()
    return blake2b(b"%d:%s%s" % (len(name), name, item), digest_size=16).digest()


class Work:
    """`begin_s`: how long after its arrival an item may begin; `retry_s`: before the second try of an item.

    Times are seconds of one clock. For each item that is acknowledged, a command has ended well that was
    run for it, or for one with the same content on the same channel: each ends well for one of them only.
    """

    def __init__(self, begin_s: float, retry_s: float, most_remembered: int = MOST_REMEMBERED) -> None:
        self._begin_s = begin_s
        self._retry_s = retry_s
        self._most_remembered = most_remembered
        self._frames: list[Frame] = []
        self._queue: deque[Job] = deque()
        self._orphans: OrderedDict[bytes, deque[Job]] = OrderedDict()
        self._failures: OrderedDict[bytes, int] = OrderedDict()
        self._answers: list[Answer] = []
        self._is_stopping = False

    def came(
        self, number: int | None, channel: str, items: Sequence[bytes], now: float, *, is_redelivered: bool
    ) -> None:
        """A frame has come."""
        frame = Frame(number, now + self._begin_s)
        self._frames.append(frame)
        for item in items:
            key = _key(channel, item)
            job = self._adopt(key, frame, now) if is_redelivered else None
            if job is None:
                job = Job(channel, item, is_redelivered, frame, key)
                self._queue.append(job)
            frame.jobs.append(job)
        if self._is_stopping:
            self._give_up(frame)
        self._settle(frame, now)

    def next(self, now: float) -> Job | None:
        """The next item whose command is to be run."""
        while self._queue:
            job = self._queue.popleft()
            frame = job.frame
            if frame is None or frame.is_given_up:
                continue
            if frame.number is not None and now >= frame.begin_until:
                self._give_up(frame)
                self._settle(frame, now)
                continue
            job.is_begun = True
            return job
        return None

    def ended(self, job: Job, outcome: Outcome, now: float) -> float:
        """The command of `job` has ended; after how many seconds another try is to follow a failure."""
        job.outcome = outcome
        retry_s = 0.0
        if outcome is Outcome.FAILED:
            retry_s = self._note_failure(job.key)
        else:
            self._failures.pop(job.key, None)
        if job.frame is None:
            self._orphan_ended(job, now)
        else:
            job.frame.retry_s = max(job.frame.retry_s, retry_s)
            self._settle(job.frame, now)
        return retry_s

    def lost(self, now: float) -> None:
        """The connection has ended: the broker delivers again what was not acknowledged."""
        for frame in self._frames:
            for job in frame.jobs:
                self._remember(job, now)
        self._frames.clear()
        self._queue.clear()
        self._answers.clear()

    def stop(self, now: float) -> None:
        """Begin nothing more: what has not begun goes back at once."""
        self._is_stopping = True
        for frame in list(self._frames):
            self._give_up(frame)
            self._settle(frame, now)

    def take_answers(self) -> list[Answer]:
        """What is to be said to the broker since the last call."""
        answers, self._answers = self._answers, []
        return answers

    def _note_failure(self, key: bytes) -> float:
        failures = self._failures.pop(key, 0) + 1
        self._failures[key] = failures
        if len(self._failures) > self._most_remembered:
            self._failures.popitem(last=False)
        return min(self._retry_s * 2.0 ** min(failures - 1, 60), max(LONGEST_RETRY_S, self._retry_s))

    # Frames

    def _give_up(self, frame: Frame) -> None:
        frame.is_given_up = not all(job.is_begun for job in frame.jobs)

    def _settle(self, frame: Frame, now: float) -> None:
        """Answer for `frame`, if nothing of it runs or is still to be begun."""
        if any(job.outcome is None and (job.is_begun or not frame.is_given_up) for job in frame.jobs):
            return
        self._frames.remove(frame)
        is_done = all(job.outcome is Outcome.DONE for job in frame.jobs)
        if not is_done:
            for job in frame.jobs:
                self._remember(job, now)
        if frame.number is not None:
            self._answers.append(Answer(frame.number, is_done, 0.0 if is_done else self._delay(frame)))

    def _delay(self, frame: Frame) -> float | None:
        if frame.retry_s:
            return frame.retry_s
        if len(frame.jobs) == 1 and frame.jobs[0].outcome is Outcome.DEAD:
            return None
        return 0.0 if self._is_stopping else SPLIT_S

    # What has no frame

    def _remember(self, job: Job, now: float) -> None:
        """The frame of `job` is settled without an acknowledgement."""
        job.frame = None
        if job.is_begun and job.outcome in (None, Outcome.DONE):
            self._orphans.setdefault(job.key, deque()).append(job)
            if job.outcome is Outcome.DONE:
                self._orphan_ended(job, now)

    def _orphan_ended(self, job: Job, now: float) -> None:
        if job.outcome is Outcome.DONE:
            job.remembered_until = now + REMEMBER_S
            job.item = b""
            self._orphans.move_to_end(job.key)
            self._forget(now)
        else:
            self._drop(job)

    def _adopt(self, key: bytes, frame: Frame, now: float) -> Job | None:
        """What was done, or is being done, for an item of that content when it came before."""
        self._forget(now)
        orphans = self._orphans.get(key)
        if not orphans:
            return None
        job = orphans[0]
        self._drop(job)
        job.frame = frame
        return job

    def _drop(self, job: Job) -> None:
        orphans = self._orphans[job.key]
        orphans.remove(job)
        if not orphans:
            del self._orphans[job.key]

    def _forget(self, now: float) -> None:
        """The oldest of what has been remembered too long, or is too much."""
        excess = len(self._orphans) - self._most_remembered
        for key in list(islice(self._orphans, max(1, excess))):
            for job in list(self._orphans[key]):
                if job.outcome is not None and (excess > 0 or job.remembered_until <= now):
                    self._drop(job)
