"""A connection with its channel in the URL: no commands and no replies; each frame is the message.

Most who send here connect, send and leave within some milliseconds. So such a connection is *passing* at
first: what waits is not for it until it has been here for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsmb.access import RECEIVE
from wsmb.answers import Answers
from wsmb.broker import Broker
from wsmb.errors import Code, CommandError
from wsmb.interfaces import Peer
from wsmb.pulse import BEATS_PER_SECOND
from wsmb.topic_query import Topic

# The first beat may come at once.
SILENT_BEATS = BEATS_PER_SECOND // 5 + 1
QUIET_BEATS = 2 * BEATS_PER_SECOND + 1


class TopicSession:
    """What one authenticated connection does on its channel. To the protocol it is as a Session is.

    `is_receiver`: whether its URL says so. It sends, or receives, or both, as far as it may.
    """

    __slots__ = (
        "_broker",
        "_name",
        "_opened_beat",
        "_owes_ping",
        "_peer",
        "_receiver",
        "_receives",
        "_sends",
        "_stays",
        "_user",
        "answers",
        "frames_in",
    )

    def __init__(
        self, peer: Peer, broker: Broker, time_stamp: Callable[[], str], user: str, topic: Topic
    ) -> None:
        self._peer = peer
        self._broker = broker
        self._user = user
        self._name = topic.name
        self._stays = topic.is_receiver
        self._opened_beat = broker.pulse.beats
        self._owes_ping = False
        self._receiver = broker.receiver(peer, user, reads_texts=True, quiet_beats=QUIET_BEATS)
        self._receives = False
        self._sends = False
        self.answers = Answers(peer, time_stamp, broker.intake, is_extended=False)
        """Of these it has only what is unfinished: it is told nothing."""
        self.frames_in = 0
        broker.subscribers.add(self)
        broker.pulse.waiting.add(self)
        self.access_changed()

    @property
    def outstanding(self) -> int:
        """How many frames it has been sent and has not proved."""
        return self._receiver.outstanding

    @property
    def pings(self) -> int:
        """How many pings it has been sent."""
        return self._receiver.pings

    @property
    def awaits_pong(self) -> bool:
        """Whether it has not answered all of them."""
        return self._receiver.awaits_pong

    @property
    def _is_quiet(self) -> bool:
        """Whether it is not to be sent pings yet: its end may be open for one frame alone."""
        return self._broker.pulse.beats - self._opened_beat < QUIET_BEATS

    def frames_received(self, payloads: Sequence[bytes]) -> None:
        """Send text or binary frames on, in their order."""
        self.frames_in += len(payloads)
        for payload in payloads:
            try:
                self._send(payload)
            except CommandError as problem:
                self.answers.refusal(problem, None, self._name)
                if problem.code is Code.MALFORMED:
                    self.answers.count_malformed(self._broker.limits.max_malformed)

    def _send(self, text: bytes) -> None:
        broker, name = self._broker, self._name
        if broker.is_stopping:
            raise CommandError(Code.UNAVAILABLE, "the broker stops")
        if not text.isascii():
            try:
                text.decode()
            except UnicodeDecodeError:
                raise CommandError(Code.MALFORMED, "not UTF-8") from None
        limit = None
        access = broker.access
        if access is not None and (self._user, name) not in access.free_to_send:
            limit = access.check_send(self._user, name, None, broker.default_text_limit)
        broker.send_text(name, text, limit, self._peer, self.answers)
        if not self._sends:
            self._sends = broker.senders.begin(name) is not None

    def greeting_due(self) -> None:
        """It is not greeted."""

    def ask_for_proof(self) -> None:
        """Ask for a sign that it has got what it was sent, if it has not given one."""
        if self._receiver.outstanding and not self._is_quiet:
            self._receiver.ping()

    def ping(self) -> None:
        """Ask for a sign of life, as soon as it may be pinged."""
        if self._is_quiet:
            self._owes_ping = True
        else:
            self._receiver.ping()

    def pong(self, payload: bytes) -> None:
        """A pong has come."""
        self._receiver.pong(payload)

    def beat(self) -> None:
        """See Beating: whether it is more than passing; whether it may be pinged."""
        if self not in self._broker.subscribers:
            return  # it has ended in this very beat
        is_quiet = self._is_quiet
        silent_for = 0 if self.frames_in else self._broker.pulse.beats - self._opened_beat
        if not self._stays and (silent_for >= SILENT_BEATS or not is_quiet):
            self._stays = True
            if self._receives:
                self._broker.channels.stays(self._name, self._peer)
        if is_quiet:
            self._broker.pulse.waiting.add(self)
        elif self._owes_ping:
            self._receiver.ping()

    def access_changed(self) -> None:
        """See Subscriber: it receives as soon as it may, and no longer."""
        may = self._may_receive()
        if may and not self._receives:
            self._broker.channels.receive(self._name, self._receiver, is_passing=not self._stays)
        elif self._receives and not may:
            self._broker.channels.leave(self._name, self._peer)
        self._receives = may

    def _may_receive(self) -> bool:
        broker = self._broker
        if broker.access is not None and not broker.access.decide(self._user, RECEIVE, self._name).allowed:
            return False
        return self._receives or broker.channels.has_room(self._name)

    def closed(self) -> None:
        """The connection has ended: leave the channel."""
        broker = self._broker
        self.answers.close()
        broker.subscribers.discard(self)
        broker.pulse.waiting.discard(self)
        if self._sends:
            self._sends = False
            broker.senders.end((self._name,))
        names = (self._name,) if self._receives else ()
        self._receives = False
        broker.channels.end(self._receiver, names)
