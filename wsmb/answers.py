"""What one connection is told, in the order of its commands, whenever each of them is finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from wsmb import frames, replies, wire
from wsmb.deliveries import Done
from wsmb.errors import CloseCode, Code, CommandError, StoreError
from wsmb.intake import Intake
from wsmb.interfaces import Peer
from wsmb.message_ids import MessageIds
from wsmb.pulse import BEATS_PER_SECOND

PAUSE_BYTES = 4_194_304
PAUSE_COMMANDS = 5_000
MINUTE_BEATS = 60 * BEATS_PER_SECOND


class Slot:
    """The place of an unfinished command in the order of a session's replies."""

    __slots__ = (
        "_answers",
        "begun_beat",
        "channel",
        "confirm",
        "cost_bytes",
        "finished",
        "greets",
        "is_duplicate",
        "replies",
    )

    def __init__(self, answers: Answers, cost_bytes: int) -> None:
        self._answers = answers
        self.cost_bytes = cost_bytes
        self.confirm: wire.Confirm = None
        self.channel: str | None = None
        self.finished = False
        self.begun_beat: int | None = None  # for those that may be refused for want of an answer
        self.greets = False
        self.is_duplicate = False
        self.replies: Sequence[bytes] = ()

    def done(self, error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
        """See Done: the `send-message` was carried out, or could not be."""
        answers = self._answers
        answers.intake.finish(self.cost_bytes, bool(stored) or error is not None)
        if self.finished:
            return  # given up before
        answer: bytes | None = None
        if error is not None:
            problem = CommandError(error.code, error.detail)
            answer = answers.refusal(problem, self.confirm, self.channel)
        elif self.confirm is not None:
            answer = replies.sent(
                self.confirm, answers.time_stamp(), receivers, stored, is_duplicate=self.is_duplicate
            )
        if self.greets:
            greeting = answers.greeting(Code.ACCEPTED if error is None else Code.REJECTED)
            self.replies = (greeting,) if answer is None else (greeting, answer)
        elif answer is not None:
            self.replies = (answer,)
        self._finish()

    def answer(self, store_answers: bool) -> None:
        """A ping found out whether the store answers."""
        self.replies = (self._answers.greeting(Code.ACCEPTED if store_answers else Code.REJECTED),)
        self._finish()

    def give_up(self) -> None:
        """Say that it was refused, without waiting for what will become of it."""
        problem = CommandError(Code.UNAVAILABLE, "the database does not answer; it may be kept all the same")
        answer = self._answers.refusal(problem, self.confirm, self.channel)
        greeting = self._answers.greeting(Code.REJECTED) if self.greets else None
        self.replies = [reply for reply in (greeting, answer) if reply is not None]
        self.finished = True

    def _finish(self) -> None:
        self.finished = True
        self._answers.finished()


class Answers:
    """The commands of one connection that are not finished, and the replies that wait for them.

    `time_stamp` gives the time as it stands in replies. `is_extended`: whether the client has asked for
    something that the original did not know; only then it is told of errors. A client that has too
    much unfinished is not read for a while.
    """

    __slots__ = (
        "_is_paused",
        "_is_slowed",
        "_malformed",
        "_malformed_minute",
        "_peer",
        "_slots",
        "_unfinished_bytes",
        "intake",
        "is_extended",
        "refused",
        "time_stamp",
    )

    def __init__(
        self, peer: Peer, time_stamp: Callable[[], str], intake: Intake, *, is_extended: bool
    ) -> None:
        self._peer = peer
        self.time_stamp = time_stamp
        self.intake = intake
        self.is_extended = is_extended
        self._slots: deque[Slot] | None = None
        self._unfinished_bytes = 0
        self._is_paused = False
        self._is_slowed = False
        self._malformed = self._malformed_minute = 0
        self.refused = 0
        """Commands that could not be carried out."""

    def greeting(self, code: Code) -> bytes:
        """The greeting as of now."""
        return replies.greeting(code, self.time_stamp())

    def refusal(self, problem: CommandError, confirm: wire.Confirm, channel: str | None) -> bytes | None:
        """What to say of a command that cannot be carried out, if anything. Counts it."""
        self.refused += 1
        self.intake.refused[problem.code.number] += 1
        if confirm is not None:
            return replies.refused(confirm, self.time_stamp(), problem)
        if self.is_extended:
            return replies.error(self.time_stamp(), problem, channel)
        return None

    def count_malformed(self, most: int) -> None:
        """One more frame could not be understood. Beyond `most` within a minute, the connection is ended."""
        minute = self.intake.beats // MINUTE_BEATS
        if minute != self._malformed_minute:
            self._malformed, self._malformed_minute = 0, minute
        self._malformed += 1
        if self._malformed > most:
            self._peer.end(CloseCode.TOO_MANY_MALFORMED)

    def error(self, problem: CommandError, channel: str) -> None:
        """Tell of what no command has asked for, if the client knows of errors."""
        if self.is_extended:
            self.reply(replies.error(self.time_stamp(), problem, channel))

    def reply(self, payload: bytes) -> None:
        """Say `payload` as soon as all commands before are finished."""
        if self._slots:
            slot = self.begin_slot(len(payload))
            slot.replies = (payload,)
            slot.finished = True
        else:
            self._peer.send_frame(frames.text_frame(payload))

    def begin(self, cost_bytes: int) -> Done:
        """See Ledger."""
        self.intake.begin(self, cost_bytes)
        slot = self.begin_slot(cost_bytes)
        slot.begun_beat = self.intake.beats
        return slot.done

    def begin_slot(self, cost_bytes: int) -> Slot:
        """A command is not finished yet."""
        slot = Slot(self, cost_bytes)
        if self._slots is None:
            self._slots = deque()
        self._slots.append(slot)
        self._unfinished_bytes += cost_bytes
        if not self._is_paused and (
            self._unfinished_bytes > PAUSE_BYTES or len(self._slots) > PAUSE_COMMANDS
        ):
            self._is_paused = True
            if not self._is_slowed:
                self._peer.pause()
        return slot

    def last_slot(self) -> Slot:
        """The slot that was begun last. There must be one."""
        if not self._slots:
            raise LookupError("no command is unfinished")
        return self._slots[-1]

    def finished(self) -> None:
        """A command is finished: send the replies that are due, up to the first that is not."""
        slots = self._slots
        while slots and slots[0].finished:
            slot = slots.popleft()
            self._unfinished_bytes -= slot.cost_bytes
            for reply in slot.replies:
                self._peer.send_frame(frames.text_frame(reply))
        if not slots:
            self._slots = None
            self.intake.leave(self)
        if (
            self._is_paused
            and self._unfinished_bytes <= PAUSE_BYTES // 2
            and (not slots or len(slots) <= PAUSE_COMMANDS // 2)
        ):
            self._is_paused = False
            if not self._is_slowed:
                self._peer.resume()

    def hold_on(self) -> None:
        """See Sender: all senders together have too much unfinished."""
        if not self._is_slowed:
            self._is_slowed = True
            if not self._is_paused:
                self._peer.pause()

    def go_on(self) -> None:
        """See Sender."""
        if self._is_slowed:
            self._is_slowed = False
            if not self._is_paused:
                self._peer.resume()

    def give_up(self, before_beat: int) -> None:
        """See Sender."""
        for slot in self._slots or ():
            if slot.begun_beat is not None and slot.begun_beat <= before_beat and not slot.finished:
                slot.give_up()
        self.finished()

    def close(self) -> None:
        """The connection has ended: say nothing any more."""
        self._slots = None
        self.intake.forget(self)


class Once:
    """The ledger of a message with an id: its end is the end of the id's first use as well."""

    def __init__(self, answers: Answers, message_ids: MessageIds, key: bytes) -> None:
        self._answers = answers
        self._message_ids = message_ids
        self._key = key

    def begin(self, cost_bytes: int) -> Done:
        """See Ledger."""
        done = self._answers.begin(cost_bytes)

        def finished(error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
            done(error, receivers, stored)
            self._message_ids.finish(self._key, error)

        return finished
