"""The brokers that are compared: each a process of its own on 127.0.0.1, on one core."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import MqttDialect, NatsDialect
from tests.integration.broker_process import (
    PASSWORD,
    USER,
    BrokerProcess,
    environment,
    free_port,
    listens,
    poll,
)
from wsmb.bench.dialect import Dialect, WsmbDialect
from wsmb.client.target import Target

STOP_LIMIT_S = 10.0
# If this process is killed, the servers go with it.
_TIED = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()

# Mosquitto 2.0.11 does not start with a WebSocket listener only.
_MOSQUITTO = """\
listener {other_port} 127.0.0.1
listener {port} 127.0.0.1
protocol websockets
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
log_dest stderr
log_type error
log_type warning
user root
"""

_NATS = """\
listen: "127.0.0.1:{other_port}"
websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}
write_deadline: "60s"
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A broker that runs."""

    name: str
    target: Target
    make_dialect: Callable[[], Dialect]


def _cores() -> tuple[int, int]:
    there = sorted(os.sched_getaffinity(0))
    return there[0], there[1] if len(there) > 1 else there[0]


SERVER_CORE, LOAD_CORE = _cores()
"""The same if there is only one."""


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started in here runs on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files() -> None:
    """For us and for what we start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def all_running(folder: Path) -> Iterator[list[Server]]:
    """Every kind that is installed; wsmb comes first."""
    with ExitStack() as stack:
        servers = [stack.enter_context(wsmb_running(folder))[0]]
        servers.append(stack.enter_context(_plain(folder)))
        if shutil.which("mosquitto", path=_PATH):
            servers.append(stack.enter_context(_mosquitto(folder)))
        if shutil.which("nats-server", path=_PATH):
            servers.append(stack.enter_context(_nats(folder)))
        yield servers


_MANY = 20_000
"""Connections and channels that one client makes here: more than wsmb allows one by default."""
_LIMITS = "[limits]\n" + "".join(
    f"max_{what} = {_MANY}\n"
    for what in (
        "connections",
        "connections_per_address",
        "connections_per_user",
        "handshakes",
        "handshakes_per_address",
        "channels_per_connection",
    )
)


@contextmanager
def wsmb_running(
    folder: Path, database: str | None = None, keep_data: str | None = None
) -> Iterator[tuple[Server, BrokerProcess]]:
    """Our own broker."""
    own = folder / f"wsmb-{keep_data}"
    own.mkdir()
    broker = BrokerProcess(own, ini=_LIMITS, database=database, keep_data=keep_data)
    with on_core(SERVER_CORE):
        broker.start()
    try:
        yield Server("wsmb", _target(broker.port, USER, PASSWORD), WsmbDialect), broker
    finally:
        broker.kill9()


@contextmanager
def _plain(folder: Path) -> Iterator[Server]:
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.plain_autobahn", str(port))
    with _running(command, port, folder):
        yield Server("plain Autobahn", _target(port), WsmbDialect)


@contextmanager
def _mosquitto(folder: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(_MOSQUITTO.format(port=port, other_port=free_port()))
    with _running(("mosquitto", "-c", str(config)), port, folder):
        yield Server("Mosquitto", _target(port), MqttDialect)


@contextmanager
def _nats(folder: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(_NATS.format(port=port, other_port=free_port()))
    with _running(("nats-server", "-c", str(config)), port, folder, GOMAXPROCS="1"):
        yield Server("nats-server", _target(port), NatsDialect)


@contextmanager
def _running(command: tuple[str, ...], port: int, folder: Path, **extra: str) -> Iterator[None]:
    """Yields once it listens; stops it in the end."""
    with (folder / "log").open("ab") as log, on_core(SERVER_CORE):
        process = subprocess.Popen(
            [*_TIED, *command],
            env=environment({"PATH": _PATH, **extra}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        poll(lambda: process.poll() is not None or listens(port), f"{command[0]} to listen")
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} did not start:\n{(folder / 'log').read_text()}")
        yield
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT_S)


def _target(port: int, user: str = "", password: str = "") -> Target:
    return Target(False, "127.0.0.1", port, "/", user, password)


# Debian puts servers where not everybody looks.
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
