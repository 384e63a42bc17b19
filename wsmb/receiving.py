"""What one connection receives: on which channels, and what it says of what it got."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsmb import wire
from wsmb.access import RECEIVE
from wsmb.acks import Acks
from wsmb.answers import Answers
from wsmb.broker import Broker
from wsmb.errors import Code, CommandError
from wsmb.interfaces import Peer
from wsmb.unproved import REJECTED

_MOST_NAMED = 10


class Receiving:
    """Made when a connection first asks for it, or is first sent a ping: many only send."""

    __slots__ = ("_answers", "_broker", "_channels", "_peer", "_user", "receiver")

    def __init__(self, peer: Peer, broker: Broker, user: str, answers: Answers) -> None:
        self._peer = peer
        self._broker = broker
        self._user = user
        self._answers = answers
        self._channels: set[str] | None = None
        self.receiver = broker.receiver(peer, user)
        """What it was sent and has not proved."""

    def check(self, command: wire.Command) -> None:
        """Raises CommandError for what is wrong with a command whatever the state of things."""
        if isinstance(command, wire.ReceiveMessage | wire.LeaveChannel):
            name = wire.channel_name(command.channel)
        if isinstance(command, wire.ReceiveMessage):
            wire.prefetch(command.prefetch)
            self._broker.check_running()
            if self._broker.access is not None:
                self._broker.access.check(self._user, RECEIVE, name)
            self._check_room(name)

    def _check_room(self, name: str) -> None:
        channels, most = self._channels or (), self._broker.limits.max_channels_per_connection
        if name not in channels and len(channels) >= most:
            raise CommandError(Code.TOO_MANY, f"a connection receives on at most {most} channels")
        self._broker.channels.check_room(name)

    def carry_out(self, command: wire.Command) -> None:
        """One that has been checked."""
        ACTIONS[type(command)](self, command)

    def access_changed(self) -> None:
        """See Subscriber. It is told of, if it has asked for anything that the original did not know."""
        access = self._broker.access
        if access is None:
            return
        for name in sorted(self._channels or ()):
            try:
                access.check(self._user, RECEIVE, name)
            except CommandError as problem:
                self._leave(name)
                self._answers.error(problem, name)

    def close(self) -> None:
        """The connection has ended: leave all channels."""
        channels, self._channels = self._channels, None
        self._broker.subscribers.discard(self)
        self._broker.channels.end(self.receiver, channels or ())

    def _receive_message(self, command: wire.ReceiveMessage) -> None:
        name = wire.channel_name(command.channel)
        prefetch = None
        if command.ack:
            self._answers.is_extended = True
            prefetch = wire.prefetch(command.prefetch)
        if self._channels is None:
            self._channels = set()
            self._broker.subscribers.add(self)
        self._channels.add(name)
        self._broker.channels.receive(name, self.receiver, prefetch)

    def _leave_channel(self, command: wire.LeaveChannel) -> None:
        self._answers.is_extended = True
        self._leave(wire.channel_name(command.channel))

    def _leave(self, name: str) -> None:
        if self._channels is not None and name in self._channels:
            self._channels.remove(name)
            self._broker.channels.leave(name, self._peer)

    def _ack_message(self, command: wire.AckMessage) -> None:
        self._answers.is_extended = True
        acks = self._acks()
        numbers = wire.deliveries(command.delivery)
        _check_known([number for number in numbers if not acks.acknowledge(number)])

    def _reject_message(self, command: wire.RejectMessage) -> None:
        self._answers.is_extended = True
        acks = self._acks()
        delay_s = wire.delay(command.delay)
        reason = "" if command.requeue else REJECTED
        numbers = wire.deliveries(command.delivery)
        _check_known([number for number in numbers if not acks.reject(number, reason, delay_s)])

    def _acks(self) -> Acks:
        if self._broker.is_closed:
            raise CommandError(Code.UNAVAILABLE, "the broker stops")
        return self.receiver.acks


def _check_known(unknown: Sequence[int]) -> None:
    if unknown:
        text = ", ".join(map(str, unknown[:_MOST_NAMED])) + (", …" if len(unknown) > _MOST_NAMED else "")
        raise CommandError(Code.UNKNOWN_DELIVERY, text)


ACTIONS: dict[type, Callable[..., None]] = {
    wire.ReceiveMessage: Receiving._receive_message,
    wire.AckMessage: Receiving._ack_message,
    wire.RejectMessage: Receiving._reject_message,
    wire.LeaveChannel: Receiving._leave_channel,
}
