"""What only wsmb is measured for: many channels, a receiver that does not read, keeping, connecting."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import memory
from benchmarks.cases import TIMEOUT_S
from benchmarks.servers import Server, wsmb_running
from wsmb.bench.connections import connected
from wsmb.bench.dialect import WsmbDialect
from wsmb.bench.load import Load
from wsmb.bench.marks import body
from wsmb.bench.opening import close_all, open_connections, place
from wsmb.bench.rounds import OneRound

CHANNELS = 10_000
NEW_CONNECTIONS = 2_000
PIPELINED_ITEMS = 20_000
SINGLE_ITEMS = 500
SMALL_BYTES = 64
FILL_BYTES = 15_000_000  # what the kernel does not take of it stays under the broker's limit
FILL_FRAME_BYTES = 15_000
KEPT_BYTES = 256
PREFIX = "b"

Figures = dict[str, float]


def many_channels(server: Server, seconds: float) -> Figures:
    """Messages a second with one channel and with 10,000, over one connection, and over 10,000.

    With 10,000 receivers of one channel, `number_of_receiver` 1 makes each message go to one of them.
    """
    one = Load(size=SMALL_BYTES, seconds=seconds, timeout_s=TIMEOUT_S)
    loads = {
        "one receiver of 1 channel": one,
        "one receiver of 10,000 channels": Load(
            channels=CHANNELS, size=SMALL_BYTES, seconds=seconds, timeout_s=TIMEOUT_S
        ),
        "10,000 receivers of 1 channel, each message to one": Load(
            receivers=CHANNELS, size=96, seconds=seconds, number_of_receiver=1, timeout_s=TIMEOUT_S
        ),
        "10,000 receivers of a channel each": Load(
            receivers=CHANNELS, channels=CHANNELS, size=96, seconds=seconds, timeout_s=TIMEOUT_S
        ),
    }
    return {name: _messages_per_s(server, load) for name, load in loads.items()}


def stuck_receiver(server: Server, seconds: float) -> Figures:
    """Messages a second to one receiver, alone and beside another one.

    The other one is on the same channel and reads; does not read; or is on another channel, where
    FILL_BYTES have been sent to it that it does not read.
    """
    one = Load(size=SMALL_BYTES, seconds=seconds, timeout_s=TIMEOUT_S)
    two = replace(one, receivers=2)
    with _filled(server):
        beside_filled = _messages_per_s(server, one)
    return {
        "alone": _messages_per_s(server, one),
        "another on the channel reads": _messages_per_s(server, two),
        "another on the channel does not read": _messages_per_s(server, one, stuck=1),
        "another elsewhere does not read": beside_filled,
    }


@contextmanager
def _filled(server: Server) -> Iterator[None]:
    """A receiver that does not read what it was sent."""
    dialect = WsmbDialect()
    channel = f"{PREFIX}.full"
    there = place(server.target, dialect, TIMEOUT_S)
    receiver, sender = open_connections(there, [dialect.receive([channel]), b""])
    frame = dialect.publish(channel, body(dialect.body_bytes(channel, FILL_FRAME_BYTES)))
    try:
        _say_and_wait(sender, frame * (FILL_BYTES // FILL_FRAME_BYTES), dialect)
        yield
    finally:
        close_all([receiver, sender])


def _messages_per_s(server: Server, load: Load, stuck: int = 0) -> float:
    dialect = WsmbDialect(load.number_of_receiver)
    there = place(server.target, dialect, TIMEOUT_S)
    with connected(load, dialect, there, PREFIX) as connections:
        idle = open_connections(there, [dialect.receive(connections.channels)] * stuck)
        try:
            return OneRound(load, connections).carry_out().figures()["messages_per_s"]
        finally:
            close_all(idle)


def new_connections(server: Server, seconds: float) -> Figures:
    """How many connections a second are let in, with the password's check in the cache, and answered."""
    dialect = WsmbDialect()
    there = place(server.target, dialect, TIMEOUT_S)
    first = open_connections(there, [b""])
    began, cpu_s = time.perf_counter(), time.process_time()
    opened = open_connections(there, [b""] * NEW_CONNECTIONS)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    close_all([*first, *opened])
    return {"new connections a second": NEW_CONNECTIONS / took_s, "load_cpu": cpu_s / took_s}


def kept(folder: Path) -> Figures:
    """Items a second committed to SQLite: pipelined, and one transaction each."""
    with wsmb_running(folder, "sqlite:///kept.sqlite3", "true") as (server, _):
        return {
            "pipelined": _kept_per_s(server, PIPELINED_ITEMS, PIPELINED_ITEMS),
            "one transaction each": _kept_per_s(server, SINGLE_ITEMS, 1),
        }


def _kept_per_s(server: Server, items: int, window: int) -> float:
    """Send `window` items and a ping, whose answer comes behind their commits; again and again."""
    dialect = WsmbDialect()
    (sender,) = open_connections(place(server.target, dialect, TIMEOUT_S), [b""])
    channel = f"{PREFIX}.kept"
    frames = window * dialect.publish(channel, body(dialect.body_bytes(channel, KEPT_BYTES)))
    began = time.perf_counter()
    for _ in range(items // window):
        _say_and_wait(sender, frames, dialect)
    took_s = time.perf_counter() - began
    sender.close()
    return items / took_s


def _say_and_wait(sender: socket.socket, frames: bytes, dialect: WsmbDialect) -> None:
    """Send `frames` and a ping, and wait for its answer: all of them have been carried out."""
    sender.settimeout(TIMEOUT_S)
    sender.sendall(frames + dialect.ping)
    answer = b""
    while dialect.answer not in answer:
        data = sender.recv(65_536)
        if not data:
            raise ConnectionError("the broker has ended the connection")
        answer += data


def idle_memory(folder: Path) -> Figures:
    """See benchmarks.memory."""
    with wsmb_running(folder, "sqlite:///kept.sqlite3") as (_, broker):
        idle_mb, connection_kb = memory.measure(broker)
    return {"idle broker, MB": idle_mb, "an idle connection, KB": connection_kb}


LIVE: dict[str, Callable[[Server, float], Figures]] = {
    "many channels": many_channels,
    "a receiver that does not read": stuck_receiver,
    "new connections": new_connections,
}
"""What is measured on the broker that the others are compared with."""

OWN: dict[str, Callable[[Path], Figures]] = {"items kept": kept, "memory": idle_memory}
"""What is measured on a broker of its own, in a folder of its own."""
