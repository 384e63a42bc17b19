"""One connection's conversation: commands in, replies out in their order, and the greeting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from wsmb import frames, wire
from wsmb.backlog import Done
from wsmb.broker import Broker
from wsmb.errors import Code, CommandError, StoreError
from wsmb.interfaces import Peer

PAUSE_BYTES = 4_194_304
PAUSE_COMMANDS = 5_000


class Slot:
    """The place of an unfinished command in the order of a session's replies."""

    __slots__ = ("_session", "cost_bytes", "finished", "greets", "reply")

    def __init__(self, session: Session, cost_bytes: int) -> None:
        self._session = session
        self.cost_bytes = cost_bytes
        self.finished = False
        self.greets = False
        self.reply = b""

    def done(self, error: StoreError | None) -> None:
        """The command was carried out, or could not be."""
        if error is not None:
            self._session.refused += 1
        if self.greets:
            self.reply = self._session.greeting(Code.ACCEPTED if error is None else Code.REJECTED)
        self.finished = True
        self._session.flush_replies()

    def answer(self, store_answers: bool) -> None:
        """A ping found out whether the store answers."""
        self.reply = self._session.greeting(Code.ACCEPTED if store_answers else Code.REJECTED)
        self.finished = True
        self._session.flush_replies()


class Session:
    """What one authenticated connection has asked for, and what it is still owed.

    `timestamp` gives the time as it stands in a greeting. The greeting is owed until the first frame
    has been carried out or `greeting_due` is called, whichever comes first.
    """

    __slots__ = (
        "_broker",
        "_channels",
        "_paused",
        "_peer",
        "_timestamp",
        "_unfinished",
        "_unfinished_bytes",
        "awaits_first_frame",
        "frames_in",
        "refused",
    )

    def __init__(self, peer: Peer, broker: Broker, timestamp: Callable[[], str]) -> None:
        self._peer = peer
        self._broker = broker
        self._timestamp = timestamp
        self._channels: set[str] | None = None
        self._unfinished: deque[Slot] | None = None
        self._unfinished_bytes = 0
        self._paused = False
        self.awaits_first_frame = True
        self.frames_in = 0
        self.refused = 0
        """Frames that could not be carried out."""

    def frames_received(self, payloads: Sequence[bytes]) -> None:
        """Carry out text or binary frames, in their order."""
        self.frames_in += len(payloads)
        if self.awaits_first_frame:
            self._first_frame(payloads[0])
            payloads = payloads[1:]
        for payload in payloads:
            try:
                command = wire.decode(payload)
                ACTIONS[type(command)](self, command, payload)
            except CommandError:
                self.refused += 1

    def greeting_due(self) -> None:
        """No frame has come in time: greet without one."""
        if self.awaits_first_frame:
            self.awaits_first_frame = False
            self._reply(self.greeting(Code.ACCEPTED))

    def closed(self) -> None:
        """The connection has ended: leave all channels, and give no replies any more."""
        self.awaits_first_frame = False
        self._unfinished = None
        channels, self._channels = self._channels, None
        for name in channels or ():
            self._broker.leave(name, self._peer)

    def greeting(self, code: Code) -> bytes:
        """The greeting as of now."""
        return wire.greeting(code, self._timestamp())

    # Commands

    def _first_frame(self, payload: bytes) -> None:
        self.awaits_first_frame = False
        try:
            command = wire.decode(payload)
            ACTIONS[type(command)](self, command, payload)
        except CommandError:
            self.refused += 1
            self._reply(self.greeting(Code.REJECTED))
            return
        if isinstance(command, wire.Ping):
            return  # its answer is the greeting
        if self._unfinished:
            self._unfinished[-1].greets = True
        else:
            self._reply(self.greeting(Code.ACCEPTED))

    def _send_message(self, command: wire.SendMessage, payload: bytes) -> None:
        limit = command.number_of_receiver
        self._broker.send(
            wire.channel_name(command.channel),
            payload,
            command.data,
            None if limit is None else wire.receiver_limit(limit),
            self._peer,
            self,
        )

    def _receive_message(self, command: wire.ReceiveMessage, payload: bytes) -> None:
        name = wire.channel_name(command.channel)
        if self._channels is None:
            self._channels = set()
        self._channels.add(name)
        self._broker.receive(name, self._peer)

    def _ping(self, command: wire.Ping, payload: bytes) -> None:
        if self._broker.keeps:
            self._broker.store.check(self._begin_slot(len(payload)).answer)
        else:
            self._reply(self.greeting(Code.ACCEPTED))

    # Replies

    def begin(self, cost_bytes: int) -> Done:
        """A command of so many bytes is not finished yet; the result is to be called once it is."""
        return self._begin_slot(cost_bytes).done

    def _begin_slot(self, cost_bytes: int) -> Slot:
        slot = Slot(self, cost_bytes)
        if self._unfinished is None:
            self._unfinished = deque()
        self._unfinished.append(slot)
        self._unfinished_bytes += cost_bytes
        if not self._paused and (
            self._unfinished_bytes > PAUSE_BYTES or len(self._unfinished) > PAUSE_COMMANDS
        ):
            self._paused = True
            self._peer.pause()
        return slot

    def _reply(self, payload: bytes) -> None:
        if self._unfinished:
            slot = self._begin_slot(len(payload))
            slot.reply = payload
            slot.finished = True
        else:
            self._peer.send_frame(frames.text_frame(payload))

    def flush_replies(self) -> None:
        """Send the replies that are due, up to the first command that is not finished."""
        unfinished = self._unfinished
        while unfinished and unfinished[0].finished:
            slot = unfinished.popleft()
            self._unfinished_bytes -= slot.cost_bytes
            if slot.reply:
                self._peer.send_frame(frames.text_frame(slot.reply))
        if not unfinished:
            self._unfinished = None
        if (
            self._paused
            and self._unfinished_bytes <= PAUSE_BYTES // 2
            and (not unfinished or len(unfinished) <= PAUSE_COMMANDS // 2)
        ):
            self._paused = False
            self._peer.resume()


ACTIONS: dict[type, Callable[..., None]] = {
    wire.Ping: Session._ping,
    wire.ReceiveMessage: Session._receive_message,
    wire.SendMessage: Session._send_message,
}
