"""The open connections of a load."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

from wsmb.bench.dialect import Dialect
from wsmb.bench.ends import ConfirmedSender, Receiver, Sender
from wsmb.bench.load import DIGITS, RUN_CHARS, Load, channel_names, dealt
from wsmb.bench.marks import Samples
from wsmb.bench.opening import Place, close_all, open_connections

OBSERVERS_A_CHANNEL = 16


class Connections:
    """The open connections of one load."""

    def __init__(self, load: Load, dialect: Dialect, place: Place, prefix: str) -> None:
        run = "".join(secrets.choice(DIGITS) for _ in range(RUN_CHARS))
        names = channel_names(prefix, run, load.channels)
        self.channels = names
        self.samples = Samples(time.perf_counter)
        self.poll = select.epoll()  # before the sockets: select() takes no descriptor above 1,023
        received = [_own(names, number, load.receivers) for number in range(load.receivers)]
        sockets = open_connections(place, [*map(dialect.receive, received), *[b""] * load.senders])
        step = -(-load.receivers // (OBSERVERS_A_CHANNEL * load.channels))
        self.receivers = [
            Receiver(connection, dialect, load.size, None if number % step else self.samples)
            for number, connection in enumerate(sockets[: load.receivers])
        ]
        kind = ConfirmedSender if load.confirm else Sender
        self.senders = [
            kind(connection, dialect, _own(names, number, load.senders), load.size, self.samples)
            for number, connection in enumerate(sockets[load.receivers :])
        ]
        everyone: list[Receiver | Sender] = [*self.receivers, *self.senders]
        self.by_descriptor = {each.socket.fileno(): each for each in everyone}
        for descriptor in self.by_descriptor:
            self.poll.register(descriptor, select.EPOLLIN)

    def begin(self) -> None:
        """A new round begins."""
        self.samples.begin()
        for each in self.by_descriptor.values():
            each.begin()

    def close(self) -> None:
        """End them."""
        close_all([each.socket for each in self.by_descriptor.values()])
        self.poll.close()


@contextmanager
def connected(load: Load, dialect: Dialect, place: Place, prefix: str = "bench") -> Iterator[Connections]:
    """The connections of `load`; they are closed in the end. Raises BenchError."""
    connections = Connections(load, dialect, place, prefix)
    try:
        yield connections
    finally:
        connections.close()


def _own(names: list[str], number: int, connections: int) -> list[str]:
    return [names[channel] for channel in dealt(number, connections, len(names))]
