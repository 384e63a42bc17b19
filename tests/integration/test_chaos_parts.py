"""The parts that `make chaos` is made of: its connection, its proxy and its records."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chaos.check import Verdict
from chaos.connection import PING, TEXT, Connection
from chaos.history import STORED, History
from chaos.items import Plan, Stream
from chaos.proxy import Proxy
from chaos.records import ReceiverRecord, SenderRecord
from chaos.report import table, wrongs
from chaos.run import Outcome
from chaos.scenarios import SCENARIOS
from wsmb.frames import text_frame

LIMIT_S = 10


class Server:
    """Takes one connection and keeps what it is told until the end.

    It says `pieces`, one after the other; without them it repeats what it hears.
    """

    def __init__(self, *pieces: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.heard = b""
        self._thread = threading.Thread(target=self._serve, args=(pieces,), daemon=True)
        self._thread.start()

    def _serve(self, pieces: Sequence[bytes]) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            connection.settimeout(LIMIT_S)
            for piece in pieces:
                connection.sendall(piece)
            while data := connection.recv(65_536):
                self.heard += data
                if not pieces:
                    connection.sendall(data)

    def wait(self) -> None:
        """Until the other end has closed."""
        self._thread.join(LIMIT_S)


class ConnectionTests(SynchronousTestCase):
    def test_frames_come_whole_whatever_the_pieces(self) -> None:
        payloads = [b"a", b"b" * 125, b"c" * 126, b"d" * 65_535, b"e" * 65_536]
        wire = b"HTTP/1.1 101 OK\r\n\r\n" + b"".join(map(text_frame, payloads)) + b"\x89\x01p"
        server = Server(wire[:30], wire[30:31], wire[31:200], wire[200:-1], wire[-1:])
        connection = Connection(server.port, b"first")
        self.addCleanup(connection.close)
        frames: list[tuple[int, bytes]] = []
        while len(frames) < len(payloads) + 1:
            frames += connection.frames(LIMIT_S)
        self.assertEqual(frames, [*((TEXT, payload) for payload in payloads), (PING, b"p")])

    def test_without_frames_it_returns_in_time(self) -> None:
        connection = Connection(Server(b"HTTP/1.1 101 OK\r\n\r\n").port)
        self.addCleanup(connection.close)
        self.assertEqual(list(connection.frames(0)), [])

    def test_a_refusal_is_an_end(self) -> None:
        server = Server(b"HTTP/1.1 503 Full\r\n\r\n")
        self.assertRaises(EOFError, Connection, server.port)


class ProxyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.proxy = Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.connection = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=LIMIT_S)
        self.addCleanup(self.connection.close)
        self.connection.sendall(b"hello")
        self.assertEqual(self.connection.recv(5), b"hello")

    def test_what_stalls_goes_on(self) -> None:
        self.proxy.stall()
        self.connection.sendall(b"later")
        self.connection.settimeout(0.1)
        self.assertRaises(TimeoutError, self.connection.recv, 5)
        self.connection.settimeout(LIMIT_S)
        self.proxy.flow()
        self.assertEqual(self.connection.recv(5), b"later")

    def test_what_stalls_is_lost_by_a_cut(self) -> None:
        self.proxy.stall()
        self.connection.sendall(b"later")
        self.proxy.cut()
        self.proxy.flow()
        self.assertEqual(self.connection.recv(5), b"")
        self.server.wait()
        self.assertEqual(self.server.heard, b"hello")


class RecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.history = History(self.folder)
        self.addCleanup(self.history.close)

    def test_a_sender_is_read_while_it_writes(self) -> None:
        record = SenderRecord(self.folder / "sender-1", Plan(1, ["a", "b"], 2, False))
        record.opened()
        record.confirmed([(0, "00", 2, False), (1, "06", 0, False)])
        self.history.update()
        sent = self.history.senders[1]
        self.assertEqual((sent.plan, list(sent.confirmed())), (Plan(1, ["a", "b"], 2, False), [0]))
        self.assertEqual((sent.state[0], sent.refused), (STORED, {1}))
        record.sent_again([1, 2])
        record.confirmed([(1, "00", 2, False)])
        record.ended(2)
        self.history.update()
        self.assertEqual((list(sent.confirmed()), sent.times), ([0, 1], {1: 2, 2: 2}))
        self.assertEqual(
            [(stream, number) for stream, number, *_ in self.history.missing()],
            [(Stream(1, channel), number) for channel in ("a", "b") for number in (0, 1)],
        )

    def test_a_receiver_is_read_while_it_writes(self) -> None:
        frame = b'{"command":"send-message","channel":"a","data":[1000000000,{"id":1000000001,"filler":""}]}'
        path = self.folder / "receiver-r"
        record = ReceiverRecord(path, ["a"])
        record.opened()
        record.received([frame])
        self.history.update()
        (arrived,) = self.history.streams.values()
        self.assertEqual((list(arrived.numbers), list(arrived.proved_us)), ([0, 1], [0, 0]))
        record.proved()
        record.received([frame])
        record.ended()
        self.history.update()
        self.assertEqual((list(arrived.counts[:3]), list(arrived.numbers)), ([2, 2, 0], [0, 1, 0, 1]))
        self.assertTrue(all(arrived.proved_us[:2]))
        self.assertEqual(list(arrived.proved_us[2:]), [0, 0])
        self.assertEqual(len(self.history.ends_us["a"]), 1)

    def test_half_a_line_waits_for_its_rest(self) -> None:
        with (self.folder / "receiver-r").open("wb", buffering=0) as file:
            file.write(b'H a\nD 1 {"channel":"a","da')
            self.history.update()
            self.assertEqual(self.history.streams, {})
            file.write(b'ta":[1000000005]}\n')
            self.history.update()
        self.assertEqual(list(self.history.streams[Stream(1, "a")].numbers), [5])


class ReportTests(SynchronousTestCase):
    def test_the_table_has_a_line_for_each_scenario(self) -> None:
        verdict = Verdict(confirmed=12_345, recoveries_s=[0.5, 2, 0.25])
        outcome = Outcome(SCENARIOS["mixed"], verdict, Counter({"broker killed": 3}), 9.6)
        line = table([outcome]).splitlines()[1].split()
        self.assertEqual(line, ["mixed", "3", "12,345", "0", "0", "0", "0", "0", "0.50,", "2.00", "10"])
        self.assertEqual(wrongs(outcome), "")

    def test_what_was_wrong_is_told(self) -> None:
        verdict = Verdict(lost=1, examples=["lost: item 1"])
        outcome = Outcome(SCENARIOS["mixed"], verdict, Counter(), 1, "it did not recover")
        self.assertIn("lost: item 1", wrongs(outcome))
        self.assertIn("it did not recover", wrongs(outcome))
