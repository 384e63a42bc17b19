"""The items that `wsmb receive --exec` has in its hands: which is next, and what the broker is told. No I/O.

A frame is acknowledged when the commands of all its items have ended well. When one has not, the frame is
rejected as a whole, for the protocol knows no smaller unit: a broker that keeps the channel then sends its
items one by one. What has ended well without being acknowledged (its frame was rejected, the connection
broke, the acknowledgement came too late) is remembered, so that the same process does not run it again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence

from wsmb.cli.jobs import MOST_REMEMBERED, Answer, Frame, Job, Outcome, Remembered, key_of

SPLIT_S = 0.1
"""Of a frame that is given back with a delay, however short, items that are kept come one by one."""
LONGEST_RETRY_S = 300.0


class Work:
    """`begin_s`: how long after its arrival an item may begin; `retry_s`: before the second try of an item.

    Times are seconds of one clock. For each item that is acknowledged, a command has ended well that was
    run for it, or for one with the same content on the same channel: each ends well for one of them only.
    """

    def __init__(self, begin_s: float, retry_s: float, most_remembered: int = MOST_REMEMBERED) -> None:
        self._begin_s = begin_s
        self._retry_s = retry_s
        self._most = most_remembered
        self._frames: list[Frame] = []
        self._queue: deque[Job] = deque()
        self._remembered = Remembered(most_remembered)
        self._failures: OrderedDict[bytes, int] = OrderedDict()
        self._answers: list[Answer] = []
        self._unconfirmed: dict[int, Frame] = {}
        self._busy: Counter[bytes] = Counter()
        self._is_stopping = False

    def came(
        self, number: int | None, channel: str, items: Sequence[bytes], now: float, *, is_redelivered: bool
    ) -> None:
        """A frame has come."""
        frame = Frame(number, now + self._begin_s)
        self._frames.append(frame)
        for item in items:
            key = key_of(channel, item)
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
        for job in list(self._queue):
            frame = job.frame
            if frame is None or frame.is_given_up:
                self._queue.remove(job)
            elif frame.number is not None and now >= frame.begin_until:
                self._give_up(frame)
                self._settle(frame, now)
            elif not self._has_to_wait(job, frame):
                self._queue.remove(job)
                if not (job.is_redelivered and self._take_over(job, frame, now)):
                    job.is_begun = True
                    self._count(job)
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
            self._remembered.ended(job, now)
        else:
            job.frame.retry_s = max(job.frame.retry_s, retry_s)
            self._settle(job.frame, now)
        return retry_s

    def confirmed(self, number: int, now: float, *, is_accepted: bool) -> None:
        """What the broker says to an acknowledgement. If it came too late, the frame comes again."""
        frame = self._unconfirmed.pop(number, None)
        for job in () if frame is None else frame.jobs:
            self._uncount(job)
            if not is_accepted:
                self._remember(job, now)

    def lost(self, now: float) -> None:
        """The connection has ended: the broker delivers again what was not acknowledged.

        Of what was acknowledged without a word about that, nobody knows: it is not remembered as done.
        """
        for frame in self._frames:
            for job in frame.jobs:
                self._remember(job, now)
        for number in list(self._unconfirmed):
            self.confirmed(number, now, is_accepted=True)
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
        if len(self._failures) > self._most:
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
        if frame.number is not None:
            self._answers.append(Answer(frame.number, is_done, 0.0 if is_done else self._delay(frame)))
        if is_done and frame.number is not None:
            self._unconfirmed[frame.number] = frame
            return
        for job in frame.jobs:
            if is_done:
                self._uncount(job)
            else:
                self._remember(job, now)

    def _delay(self, frame: Frame) -> float | None:
        if frame.retry_s:
            return frame.retry_s
        if len(frame.jobs) == 1 and frame.jobs[0].outcome is Outcome.DEAD:
            return None
        return 0.0 if self._is_stopping else SPLIT_S

    # The same again

    def _has_to_wait(self, job: Job, frame: Frame) -> bool:
        """Whether it is perhaps the one that is being worked on, for a frame that was taken back meanwhile.

        Only what is alone in its frame waits: it keeps nobody else waiting, so that there is no deadlock.
        """
        return job.is_redelivered and len(frame.jobs) == 1 and self._busy[job.key] > 0

    def _remember(self, job: Job, now: float) -> None:
        """The frame of `job` is settled without an acknowledgement that counts."""
        job.frame = None
        self._uncount(job)
        if job.is_begun and job.outcome in (None, Outcome.DONE):
            self._remembered.add(job, now)

    def _adopt(self, key: bytes, frame: Frame, now: float) -> Job | None:
        """What was done, or is being done, for an item of that content when it came before."""
        job = self._remembered.take(key, now)
        if job is not None:
            job.frame = frame
            self._count(job)
        return job

    def _take_over(self, job: Job, frame: Frame, now: float) -> bool:
        """Whether what `job` is about was done meanwhile."""
        done = self._adopt(job.key, frame, now)
        if done is None:
            return False
        frame.jobs[frame.jobs.index(job)] = done
        self._settle(frame, now)
        return True

    def _count(self, job: Job) -> None:
        job.is_counted = True
        self._busy[job.key] += 1

    def _uncount(self, job: Job) -> None:
        if job.is_counted:
            job.is_counted = False
            self._busy[job.key] -= 1
            if not self._busy[job.key]:
                del self._busy[job.key]
