"""One connection's conversation: commands in, replies out in their order, and the greeting."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

from wsmb import replies, wire
from wsmb.access import RECEIVE
from wsmb.acks import Acks
from wsmb.answers import Answers, Once
from wsmb.broker import Broker
from wsmb.errors import Code, CommandError
from wsmb.interfaces import Peer
from wsmb.message_ids import key_of
from wsmb.receiver import Receiver
from wsmb.senders import MOST_OF_ONE, NOWHERE
from wsmb.unproved import REJECTED


class Session:
    """What one authenticated connection has asked for.

    The greeting is owed until the first frame has been carried out or `greeting_due` is called,
    whichever comes first. See Answers for `time_stamp` and `is_extended`.
    """

    __slots__ = (
        "_broker",
        "_channels",
        "_peer",
        "_receiver",
        "_sends_on",
        "_user",
        "answers",
        "awaits_first_frame",
        "frames_in",
    )

    def __init__(
        self, peer: Peer, broker: Broker, time_stamp: Callable[[], str], user: str, is_extended: bool = False
    ) -> None:
        self._peer = peer
        self._broker = broker
        self._user = user
        self.answers = Answers(peer, time_stamp, broker.intake, is_extended=is_extended)
        self._channels: set[str] | None = None
        self._receiver: Receiver | None = None
        self._sends_on: Set[str] = NOWHERE
        self.awaits_first_frame = True
        self.frames_in = 0

    @property
    def outstanding(self) -> int:
        """How many frames it has been sent and has not proved."""
        return 0 if self._receiver is None else self._receiver.outstanding

    @property
    def pings(self) -> int:
        """How many pings it has been sent."""
        return 0 if self._receiver is None else self._receiver.pings

    @property
    def awaits_pong(self) -> bool:
        """Whether it has not answered all of them."""
        return self._receiver is not None and self._receiver.awaits_pong

    def frames_received(self, payloads: Sequence[bytes]) -> None:
        """Carry out text or binary frames, in their order."""
        self.frames_in += len(payloads)
        if self.awaits_first_frame:
            self._first_frame(payloads[0])
            payloads = payloads[1:]
        decode = self._broker.decode
        for payload in payloads:
            try:
                command = decode(payload)
                if type(command) is wire.SendMessage:
                    self._send_message(command, payload)
                else:
                    self._carry_out(command)
                    self._confirm(command.confirm)
            except CommandError as problem:
                self._refuse(problem, payload)

    def send(self, command: wire.SendMessage, payload: bytes) -> None:
        """Carry out a `send-message` whose `payload`, what receivers get, does not hold all of its fields."""
        try:
            self._send_message(command, payload)
        except CommandError as problem:
            answer = self.answers.refusal(problem, command.confirm, None)
            if answer is not None:
                self.answers.reply(answer)

    def greeting_due(self) -> None:
        """No frame has come in time: greet without one."""
        if self.awaits_first_frame:
            self.awaits_first_frame = False
            self.answers.reply(self.answers.greeting(Code.ACCEPTED))

    def ask_for_proof(self) -> None:
        """Ask for a sign that it has got what it was sent, if it has not given one."""
        if self._receiver is not None and self._receiver.outstanding:
            self._receiver.ping()

    def ping(self) -> None:
        """Ask for a sign of life, which proves what was sent before as well."""
        self._as_receiver().ping()

    def pong(self, payload: bytes) -> None:
        """A pong has come."""
        if self._receiver is not None:
            self._receiver.pong(payload)

    def closed(self) -> None:
        """The connection has ended: leave all channels, and give no replies any more."""
        self.awaits_first_frame = False
        self.answers.close()
        channels, self._channels = self._channels, None
        self._broker.subscribers.discard(self)
        sent_on, self._sends_on = self._sends_on, NOWHERE
        self._broker.senders.end(sent_on)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self._broker.end(receiver, channels or ())

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
                self.answers.error(problem, name)

    # Commands

    def _first_frame(self, payload: bytes) -> None:
        self.awaits_first_frame = False
        try:
            command = self._broker.decode(payload)
            if isinstance(command, wire.SendMessage):
                self._send_first(command, payload)
                return
            self._check(command)
        except CommandError as problem:
            self.answers.reply(self.answers.greeting(Code.REJECTED))
            self._refuse(problem, payload)
            return
        if not isinstance(command, wire.Ping):  # whose answer is the greeting
            self.answers.reply(self.answers.greeting(Code.ACCEPTED))
        try:
            ACTIONS[type(command)](self, command)
            self._confirm(command.confirm)
        except CommandError as problem:
            self._refuse(problem, payload)

    def _carry_out(self, command: wire.Command) -> None:
        """Any command but `send-message`."""
        self._check(command)
        ACTIONS[type(command)](self, command)

    def _check(self, command: wire.Command) -> None:
        """Raises CommandError for what is wrong with a command whatever the state of things."""
        if command.confirm is not None:
            self.answers.is_extended = True
            wire.check_confirm(command.confirm)
        if isinstance(command, wire.ReceiveMessage | wire.LeaveChannel):
            name = wire.channel_name(command.channel)
        if isinstance(command, wire.ReceiveMessage):
            wire.prefetch(command.prefetch)
            self._check_running()
            if self._broker.access is not None:
                self._broker.access.check(self._user, RECEIVE, name)
            self._check_room(name)

    def _check_room(self, name: str) -> None:
        channels, most = self._channels or (), self._broker.limits.max_channels_per_connection
        if name not in channels and len(channels) >= most:
            raise CommandError(Code.TOO_MANY, f"a connection receives on at most {most} channels")
        self._broker.check_room(name)

    def _check_running(self) -> None:
        if self._broker.is_stopping:
            raise CommandError(Code.UNAVAILABLE, "the broker stops")

    def _send_first(self, command: wire.SendMessage, payload: bytes) -> None:
        """The greeting is its receipt: it follows the delivery or the commit, and goes before a confirm."""
        receivers = self._send(command, payload)
        if receivers is None:
            self.answers.last_slot().greets = True
        else:
            self.answers.reply(self.answers.greeting(Code.ACCEPTED))
            self._tell_sent(command.confirm, receivers, is_duplicate=receivers < 0)

    def _send_message(self, command: wire.SendMessage, payload: bytes) -> None:
        receivers = self._send(command, payload)
        if receivers is not None and command.confirm is not None:
            self._tell_sent(command.confirm, receivers, is_duplicate=receivers < 0)

    def _tell_sent(self, confirm: wire.Confirm, receivers: int, *, is_duplicate: bool) -> None:
        if confirm is not None:
            time_stamp, receivers = self.answers.time_stamp(), max(receivers, 0)
            self.answers.reply(replies.sent(confirm, time_stamp, receivers, 0, is_duplicate=is_duplicate))

    def _send(self, command: wire.SendMessage, payload: bytes) -> int | None:
        """How many got it at once; None if it is not finished; -1 if it is a duplicate."""
        broker = self._broker
        if broker.is_stopping:
            self._check_running()
        name: Any = command.channel  # a string, if it is one of those
        is_new = name not in self._sends_on
        if is_new and (type(name) is not str or not 0 < len(name) <= wire.MAX_CHANNEL_CHARS):
            name = wire.channel_name(name)  # a call less for each message
        if len(payload) > broker.short_bytes:
            wire.check_items(command.data, broker.limits.max_items_per_frame)
        limit = command.number_of_receiver
        limit = None if limit is None else wire.receiver_limit(limit)
        access = broker.access
        if access is not None and (self._user, name) not in access.free_to_send:
            limit = access.check_send(self._user, name, limit, broker.default_limit)
        if command.confirm is None and command.message_id is None and command.ttl is None:
            receivers = broker.send(name, payload, command.data, limit, self._peer, self.answers)
        else:
            self.answers.is_extended = True
            if command.confirm is not None:
                wire.check_confirm(command.confirm)
            receivers = self._send_extended(name, command, payload, limit)
        if is_new:
            self._begins_to_send(name)
        if receivers is None:
            slot = self.answers.last_slot()
            slot.confirm = command.confirm
            slot.channel = name
        return receivers

    def _begins_to_send(self, name: str) -> None:
        """It counts as a sender on the channel `name`, until it ends. (On some only, if they are many.)"""
        sends_on = self._sends_on
        if len(sends_on) >= MOST_OF_ONE or name in sends_on:
            return
        counted = self._broker.senders.begin(name)
        if counted is not None:
            if not isinstance(sends_on, set):
                self._sends_on = sends_on = set()
            sends_on.add(counted)

    def _send_extended(
        self, name: str, command: wire.SendMessage, payload: bytes, limit: int | None
    ) -> int | None:
        ttl_s = None if command.ttl is None else wire.time_to_live(command.ttl)
        broker = self._broker
        if command.message_id is None:
            return broker.send(name, payload, command.data, limit, self._peer, self.answers, ttl_s)
        key = key_of(self._user, name, wire.message_id(command.message_id))
        message_ids = broker.message_ids
        state = message_ids.state(key)
        if broker.traces:
            broker.following.sent(key, name, is_new=state is None)
        if isinstance(state, list):
            state.append(self.answers.begin(0))
            self.answers.last_slot().is_duplicate = True
            return None
        if state is not None:
            return -1
        message_ids.begin(key)
        try:
            ledger = Once(self.answers, message_ids, key)
            receivers = broker.send(name, payload, command.data, limit, self._peer, ledger, ttl_s, key)
        except CommandError as problem:
            message_ids.drop(key)
            broker.traces.step(key, "refused", reason=str(problem))
            raise
        if receivers is not None and broker.traces:
            broker.traces.step(key, "relayed", receivers=receivers)  # nothing is kept there, or proved
        if receivers == 0:
            message_ids.drop(key)  # it has gone nowhere: who sends it again means it
        elif receivers is not None:
            message_ids.finish(key, None)
        return receivers

    def _receive_message(self, command: wire.ReceiveMessage) -> None:
        name = wire.channel_name(command.channel)
        prefetch = None
        if command.ack:
            self.answers.is_extended = True
            prefetch = wire.prefetch(command.prefetch)
        if self._channels is None:
            self._channels = set()
            self._broker.subscribers.add(self)
        self._channels.add(name)
        self._broker.receive(name, self._as_receiver(), prefetch)

    def _leave_channel(self, command: wire.LeaveChannel) -> None:
        self.answers.is_extended = True
        name = wire.channel_name(command.channel)
        if self._channels is not None and name in self._channels:
            self._leave(name)

    def _leave(self, name: str) -> None:
        if self._channels is not None:
            self._channels.remove(name)
            self._broker.leave(name, self._peer)

    def _ack_message(self, command: wire.AckMessage) -> None:
        self.answers.is_extended = True
        acks = self._acks()
        numbers = wire.deliveries(command.delivery)
        self._check_known([number for number in numbers if not acks.acknowledge(number)])

    def _reject_message(self, command: wire.RejectMessage) -> None:
        self.answers.is_extended = True
        acks = self._acks()
        delay_s = wire.delay(command.delay)
        reason = "" if command.requeue else REJECTED
        numbers = wire.deliveries(command.delivery)
        self._check_known([number for number in numbers if not acks.reject(number, reason, delay_s)])

    def _acks(self) -> Acks:
        if self._broker.is_closed:
            raise CommandError(Code.UNAVAILABLE, "the broker stops")
        return self._as_receiver().acks

    def _check_known(self, unknown: Sequence[int]) -> None:
        if unknown:
            text = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
            raise CommandError(Code.UNKNOWN_DELIVERY, text)

    def _ping(self, command: wire.Ping) -> None:
        if self._broker.keeps:
            self._broker.store.check(self.answers.begin_slot(0).answer)
        else:
            self.answers.reply(self.answers.greeting(Code.ACCEPTED))

    def _as_receiver(self) -> Receiver:
        if self._receiver is None:
            self._receiver = self._broker.receiver(self._peer, self._user)
        return self._receiver

    def _confirm(self, confirm: wire.Confirm) -> None:
        if confirm is not None:
            self.answers.reply(replies.confirmed(confirm, self.answers.time_stamp()))

    def _refuse(self, problem: CommandError, payload: bytes) -> None:
        addressed = wire.addressed(payload)
        if addressed.is_extended:
            self.answers.is_extended = True
        answer = self.answers.refusal(problem, addressed.confirm, addressed.channel)
        if answer is not None:
            self.answers.reply(answer)
        if problem.code is Code.MALFORMED:
            self.answers.count_malformed(self._broker.limits.max_malformed)


ACTIONS: dict[type, Callable[..., None]] = {
    wire.Ping: Session._ping,
    wire.ReceiveMessage: Session._receive_message,
    wire.AckMessage: Session._ack_message,
    wire.RejectMessage: Session._reject_message,
    wire.LeaveChannel: Session._leave_channel,
}
