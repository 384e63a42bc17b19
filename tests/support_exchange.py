"""For tests of the clients' core: time that is moved by hand, and a broker that is a list."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tests.support_client import ACCEPTED, RecordingConnection, confirm
from wsmb import wire
from wsmb.client import core
from wsmb.client.errors import ClientError
from wsmb.client.exchange import Exchange
from wsmb.client.sends import Outcome


class Timer:
    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s = due_s
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class HandClock:
    """A clock and what is to be called later."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.tick_s = 0.0
        """By how much each look moves it."""
        self.timers: list[Timer] = []

    def time(self) -> float:
        self.now_s += self.tick_s
        return self.now_s

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now_s + seconds, call))
        return self.timers[-1]

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        due = [timer for timer in self.timers if timer.due_s <= self.now_s]
        self.timers = [timer for timer in self.timers if timer.due_s > self.now_s]
        for timer in due:
            if not timer.is_cancelled:
                timer.call()

    @property
    def waiting(self) -> int:
        return sum(not timer.is_cancelled for timer in self.timers)


class ExchangeBench:
    """An exchange, and what its program was told."""

    def __init__(self, max_pending: int = 100) -> None:
        self.clock = HandClock()
        self.said: list[str] = []
        self.ends: list[ClientError] = []
        self.outcomes: dict[str, list[Outcome]] = {}
        self.exchange = Exchange(
            clock=self.clock.time,
            later=self.clock.later,
            random=lambda: 1.0,
            id_prefix="me-",
            say=self.said.append,
            ended=self.ends.append,
            max_pending=max_pending,
        )

    def open(self) -> RecordingConnection:
        """A connection that has been greeted, and has not told of anything that was said on it."""
        connection = RecordingConnection()
        self.exchange.opened(connection)
        if not self.exchange.is_ready:
            self.exchange.received(ACCEPTED)
            self.exchange.received(confirm(connection.sent[0]["confirm"]))
            self.exchange.received(ACCEPTED)
            del connection.sent[:2]
        return connection

    def send(self, item: str, channel: str = "sms", **options: Any) -> Any:
        """Send it; what becomes of it is in `outcomes`."""
        told = self.outcomes.setdefault(item, [])
        return self.exchange.send(channel, b'"%s"' % item.encode(), told.append, **options)

    def accept(self, command: dict[str, Any], **data: object) -> None:
        self.exchange.received(confirm(command["confirm"], **data))

    def refuse(self, command: dict[str, Any], code: str, text: str = "why") -> None:
        self.exchange.received(confirm(command["confirm"], code, text))


class ListBroker:
    """Carries out what comes, once for each message id. `decide`: the code that a try gets.

    What it has forbidden once it always does.
    """

    def __init__(self, decide: Callable[[str], str]) -> None:
        self.stored: dict[str, list[object]] = {}
        self._ids: set[str | None] = set()
        self._forbidden: set[str | None] = set()
        self._decide = decide

    def carry_out(self, payload: bytes) -> list[core.Event]:
        """What it answers."""
        command = wire.decode(payload)
        if isinstance(command, wire.Ping):
            return [ACCEPTED]
        if not isinstance(command, wire.SendMessage):
            return [confirm(command.confirm or 0)]
        (item,) = wire.items(command.data)
        code, duplicate = "00", command.message_id in self._ids
        if not duplicate:
            code = "03" if command.message_id in self._forbidden else self._decide(item.decode())
        if code == "03":
            self._forbidden.add(command.message_id)
        if code == "00" and not duplicate:
            self._ids.add(command.message_id)
            self.stored.setdefault(str(command.channel), []).append(item.decode().strip('"'))
        return [confirm(command.confirm or 0, code, duplicate=duplicate)]


class Pipe:
    """A connection to a ListBroker on which either side's words can be on their way, and be lost."""

    def __init__(self, exchange: Exchange, broker: ListBroker) -> None:
        self.sent: list[bytes] = []
        self._up: deque[bytes] = deque()
        self._down: deque[core.Event] = deque([ACCEPTED])
        self._exchange = exchange
        self._broker = broker

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)
        self._up.append(payload)

    def pace(self, producer: object) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError

    def up(self, number: int) -> None:
        """So many frames reach the broker."""
        for _ in range(min(number, len(self._up))):
            self._down.extend(self._broker.carry_out(self._up.popleft()))

    def down(self, number: int) -> None:
        """So many answers reach the client."""
        for _ in range(min(number, len(self._down))):
            self._exchange.received(self._down.popleft())

    @property
    def is_idle(self) -> bool:
        return not self._up and not self._down
