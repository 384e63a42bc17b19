"""Items as `wsmb receive --exec` has them, and what it remembers of those it has no frame of. No I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

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
    is_counted: bool = False
    """Whether it is among those that an item with the same content has to wait for."""
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


class Answer(NamedTuple):
    """What to say of the delivery `number`: done; or not, and try again after `delay_s`, or never (None)."""

    number: int
    is_done: bool
    delay_s: float | None = 0.0


def key_of(channel: str, item: bytes) -> bytes:
    """By which an item is known when it comes again: its content, and its channel."""
    name = channel.encode()
    return blake2b(b"%d:%s%s" % (len(name), name, item), digest_size=16).digest()


class Remembered:
    """Jobs without a frame that run, or were done: to be taken for an item that comes again.

    Each is taken once, so that there are not more acknowledgements than there were commands.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._jobs: OrderedDict[bytes, deque[Job]] = OrderedDict()

    def add(self, job: Job, now: float) -> None:
        """Its frame is not this process's any more."""
        self._jobs.setdefault(job.key, deque()).append(job)
        if job.outcome is not None:
            self.ended(job, now)

    def ended(self, job: Job, now: float) -> None:
        """Its command has ended: it is kept for a while if that went well, and forgotten if not."""
        if job.outcome is Outcome.DONE:
            job.remembered_until = now + REMEMBER_S
            job.item = b""
            self._jobs.move_to_end(job.key)
            self._forget(now)
        else:
            self._drop(job)

    def take(self, key: bytes, now: float) -> Job | None:
        """The oldest of this key, which is remembered no more."""
        self._forget(now)
        if key not in self._jobs:
            return None
        job = self._jobs[key][0]
        self._drop(job)
        return job

    def _drop(self, job: Job) -> None:
        jobs = self._jobs[job.key]
        jobs.remove(job)
        if not jobs:
            del self._jobs[job.key]

    def _forget(self, now: float) -> None:
        """The oldest of what has been remembered too long, or is too much."""
        excess = len(self._jobs) - self._most
        for key in list(islice(self._jobs, max(1, excess))):
            for job in list(self._jobs[key]):
                if job.outcome is not None and (excess > 0 or job.remembered_until <= now):
                    self._drop(job)
