"""Plays requests and frames that may be anything against a broker, many connections at a time."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from tests.integration.broker_process import BrokerProcess
from tests.integration.raw_client import CLOSE, client_frame, connect, opening
from tests.mutations import Case, mutations
from wsmb.handshake import HEAD_END, REASONS, refusal
from wsmb.settings import Limits

AT_ONCE = 25
SETTINGS = """
[server]
keep_data = false
max_buffer_bytes = 1048576
[limits]
max_failures = 10000
max_failures_per_address = 10000
max_failures_per_user = 10000
max_control_frames_per_second = 1000000
[channel kept]
keep_data = true
"""
"""Of a broker that is to look at all that is played against it."""
EXPLANATIONS = (
    "topic and channel are both given; give one of them",
    "role is not receiver; give role=receiver, or no role",
    "role is given twice",
    *(
        f"{key} {what}"
        for key in ("topic", "channel")
        for what in (
            "is given twice",
            "is empty",
            "is not UTF-8",
            "is not percent-encoded; a % is written as %25",
            "has more than 100 characters",
        )
    ),
)
OPENINGS = (opening(), opening(path="/?topic=mutated"))
REFUSALS = {refusal(status) for status in REASONS} | {
    refusal(400, explanation=explanation) for explanation in EXPLANATIONS
}
ACCEPTED = re.compile(
    rb"HTTP/1\.1 101 Switching Protocols\r\nServer: wsmb\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    rb"(?:Sec-WebSocket-Protocol: wsmb\r\n)?Sec-WebSocket-Accept: [A-Za-z0-9+/]{27}=\r\n\r\n"
)


def is_complete(request: bytes) -> bool:
    """Whether the broker must answer: the head has ended, or is too long."""
    return len(request) >= Limits().max_header_bytes or HEAD_END in request


def play_request(connection: socket.socket, request: bytes) -> Callable[[], bytes]:
    """Send `request`; returns what reads the answer, of which b"" is none, and ends the connection."""
    _send(connection, request)
    if not is_complete(request):
        _end_sending(connection)

    def answer() -> bytes:
        received = bytearray()
        while not ACCEPTED.match(received) and (data := _receive(connection)):
            received += data
        connection.close()
        accepted = ACCEPTED.match(received)
        return accepted[0] if accepted else bytes(received)

    return answer


def play_frames(connection: socket.socket, stream: bytes, number: int) -> Callable[[], bytes]:
    """Open, send `stream`, leave in a way that depends on `number`; returns what reads all that came."""
    head = bytearray()
    while HEAD_END not in head:  # behind which others' texts may have come already
        data = _receive(connection)
        if not data:
            raise AssertionError(f"a good request was refused: {bytes(head)!r}")
        head += data
    cut = len(stream) * (number % 5) // 4
    for piece in (stream[:cut], stream[cut:]):
        _send(connection, piece)
    if number % 3 == 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return bytes
    if number % 3 == 1:
        _send(connection, client_frame(struct.pack(">H", 1000), CLOSE))
    _end_sending(connection)

    def rest() -> bytes:
        received = b"".join(iter(lambda: _receive(connection), b""))
        connection.close()
        return received

    return rest


def requests(port: int, cases: Sequence[Case]) -> list[bytes]:
    """The answers to these requests, which are all under way at the same time."""
    reads = [play_request(_connection(port), case.data) for case in cases]
    return [read() for read in reads]


def streams(port: int, cases: Sequence[Case]) -> None:
    """Send these streams of frames on connections of their own, which are all open at the same time: one
    half of them with the channel in their URL."""
    connections = [_connection(port) for _ in cases]
    for number, connection in enumerate(connections):
        connection.sendall(OPENINGS[number % len(OPENINGS)])
    reads = [
        play_frames(connection, case.data, number)
        for number, (connection, case) in enumerate(zip(connections, cases, strict=True))
    ]
    for read in reads:
        read()


def explain(request: bytes, answer: bytes) -> str | None:
    """What is wrong with `answer`, if anything is."""
    if not answer:
        return "no answer" if is_complete(request) else None
    if answer in REFUSALS or (ACCEPTED.fullmatch(answer) and b"\r\n" in request):
        return None
    return f"an unknown answer: {answer[:500]!r}"


class Player:
    """Plays mutations of the corpus against a broker; AssertionError says what went wrong, and when."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._broker = broker
        self._log_read = 0

    def play(self, count: int, seed: str) -> None:
        """`count` mutations, a third of each kind."""
        for batch in _batches(mutations("requests", count // 3, seed)):
            for case, answer in zip(batch, requests(self._broker.port, batch), strict=True):
                wrong = explain(case.data, answer)
                if wrong:
                    raise AssertionError(f"{case.name}: {wrong}")
            self._check_log(batch)
        for kind in (mutations("frames", count // 3, seed), _framed(mutations("commands", count // 3, seed))):
            for batch in _batches(kind):
                streams(self._broker.port, batch)
                self._check_log(batch)

    def _check_log(self, batch: Sequence[Case]) -> None:
        """No traceback, and nothing that a terminal would obey, since the last look."""
        with (self._broker.folder / "log").open("rb") as log:
            log.seek(self._log_read)
            told = log.read()
            self._log_read = log.tell()
        if re.search(rb"Traceback|#error|#critical|Unhandled|[^\n -~]", told):
            raise AssertionError(f"after one of {[case.name for case in batch]}:\n{told[-3_000:]!r}")


def _batches(cases: Iterator[Case]) -> Iterator[list[Case]]:
    while batch := list(islice(cases, AT_ONCE)):
        yield batch


def _framed(cases: Iterator[Case]) -> Iterator[Case]:
    return (Case(name, client_frame(data)) for name, data in cases)


def _connection(port: int) -> socket.socket:
    connection = connect(port)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _send(connection: socket.socket, data: bytes) -> None:
    # The broker may have ended the connection already.
    with suppress(ConnectionError):
        connection.sendall(data)


def _end_sending(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""
