"""One connection's conversation: commands in, replies out in their order, and the greeting."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

from wsmb import replies, wire
from wsmb.answers import Answers, Once
from wsmb.broker import Broker
from wsmb.errors import Code, CommandError
from wsmb.interfaces import Peer
from wsmb.message_ids import key_of
from wsmb.receiving import Receiving
from wsmb.senders import MOST_OF_ONE, NOWHERE


class Session:
    """What one authenticated connection has asked for.

    The greeting is owed until the first frame has been carried out or `greeting_due` is called,
    whichever comes first. See Answers for `time_stamp` and `is_extended`.
    """

    __slots__ = (
        "_broker",
        "_peer",
        "_receiving",
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
        self._receiving: Receiving | None = None
        self._sends_on: Set[str] = NOWHERE
        self.awaits_first_frame = True
        self.frames_in = 0

    @property
    def outstanding(self) -> int:
        """How many frames it has been sent and has not proved."""
        return 0 if self._receiving is None else self._receiving.receiver.outstanding

    @property
    def pings(self) -> int:
        """How many pings it has been sent."""
        return 0 if self._receiving is None else self._receiving.receiver.pings

    @property
    def awaits_pong(self) -> bool:
        """Whether it has not answered all of them."""
        return self._receiving is not None and self._receiving.receiver.awaits_pong

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
        if self._receiving is not None and self._receiving.receiver.outstanding:
            self._receiving.receiver.ping()

    def ping(self) -> None:
        """Ask for a sign of life, which proves what was sent before as well."""
        self._as_receiver().receiver.ping()

    def pong(self, payload: bytes) -> None:
        """A pong has come."""
        if self._receiving is not None:
            self._receiving.receiver.pong(payload)

    def closed(self) -> None:
        """The connection has ended: leave all channels, and give no replies any more."""
        self.awaits_first_frame = False
        self.answers.close()
        sent_on, self._sends_on = self._sends_on, NOWHERE
        self._broker.senders.end(sent_on)
        receiving, self._receiving = self._receiving, None
        if receiving is not None:
            receiving.close()

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
            self._act(command)
            self._confirm(command.confirm)
        except CommandError as problem:
            self._refuse(problem, payload)

    def _carry_out(self, command: wire.Command) -> None:
        """Any command but `send-message`."""
        self._check(command)
        self._act(command)

    def _act(self, command: wire.Command) -> None:
        if isinstance(command, wire.Ping):
            self._check_store()
        else:
            self._as_receiver().carry_out(command)

    def _check(self, command: wire.Command) -> None:
        """Raises CommandError for what is wrong with a command whatever the state of things."""
        if command.confirm is not None:
            self.answers.is_extended = True
            wire.check_confirm(command.confirm)
        if not isinstance(command, wire.Ping):
            self._as_receiver().check(command)

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
            broker.check_running()
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

    def _check_store(self) -> None:
        if self._broker.keeps:
            self._broker.store.check(self.answers.begin_slot(0).answer)
        else:
            self.answers.reply(self.answers.greeting(Code.ACCEPTED))

    def _as_receiver(self) -> Receiving:
        if self._receiving is None:
            self._receiving = Receiving(self._peer, self._broker, self._user, self.answers)
        return self._receiving

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
