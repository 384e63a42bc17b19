"""Tests for wsmb.client.link: the asyncio connection, over a transport and a server that are in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from wsmb.client.core import Loss
from wsmb.client.link import Link
from wsmb.client.target import Target

SECRET = "4lt0@1234"
TARGET = Target(False, "broker", 8888, "/path?x=1", "qa", SECRET)
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\n503\n"


class MemoryTransport(asyncio.Transport):
    """Gives what is written to a server, and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.paused: list[bool] = []
        self.is_over = False
        self.protocol: Link

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_over

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self.paused.append(True)

    def resume_reading(self) -> None:
        self.paused.append(False)


class Bench:
    """A link and the server that it talks to. To be made while a loop runs."""

    def __init__(self, target: Target = TARGET, silence_s: float = 60.0) -> None:
        self.opened: list[Link] = []
        self.received: list[bytes] = []
        self.link = Link(target, self.opened.append, self.received.append, silence_s)
        self.transport = MemoryTransport()
        self.transport.protocol = self.link
        self.server = ServerProtocol()
        self.events: list[Any] = []
        self.link.connection_made(self.transport)

    def carry(self) -> None:
        """Bring over what has been written, both ways."""
        written, self.transport.written = self.transport.written, b""
        if written:
            self.server.receive_data(written)
            self.events += self.server.events_received()
        self.answer()

    def answer(self) -> None:
        answer = b"".join(self.server.data_to_send())
        if answer:
            self.link.data_received(answer)

    def open(self) -> Request:
        self.carry()
        request = self.events.pop()
        self.server.send_response(self.server.accept(request))
        self.answer()
        return request

    def loss(self) -> Loss:
        return self.link.ended.result()


def in_loop(test: Callable[[Any], Awaitable[None]]) -> Callable[[Any], None]:
    return lambda self: asyncio.run(test(self))


class LinkTests(SynchronousTestCase):
    @in_loop
    async def test_opened(self) -> None:
        bench = Bench()
        request = bench.open()
        self.assertEqual(bench.opened, [bench.link])
        self.assertEqual((request.path, request.headers["Host"]), ("/path?x=1", "broker:8888"))
        self.assertEqual(request.headers["Authorization"], TARGET.authorization)

    @in_loop
    async def test_a_certificate_in_the_place_of_a_password(self) -> None:
        request = Bench(Target(True, "broker", 443, "/", "", "")).open()
        self.assertNotIn("Authorization", request.headers)

    @in_loop
    async def test_what_is_sent_in_one_turn_goes_at_once(self) -> None:
        bench = Bench()
        bench.open()
        for payload in (b"a", b"b"):
            bench.link.send(payload)
        self.assertEqual(bench.transport.written, b"")
        await asyncio.sleep(0)
        bench.carry()
        self.assertEqual([(event.opcode, event.data) for event in bench.events], [(1, b"a"), (1, b"b")])

    @in_loop
    async def test_messages_whole_and_in_pieces(self) -> None:
        bench = Bench()
        bench.open()
        bench.server.send_text(b"a")
        bench.server.send_text(b"b", fin=False)
        bench.server.send_continuation(b"c", fin=False)
        bench.server.send_continuation(b"d", fin=True)
        bench.answer()
        self.assertEqual(bench.received, [b"a", b"bcd"])

    @in_loop
    async def test_pings_are_answered(self) -> None:
        bench = Bench()
        bench.open()
        bench.server.send_ping(b"x")
        bench.answer()
        bench.carry()
        self.assertEqual([(event.opcode, event.data) for event in bench.events], [(Opcode.PONG, b"x")])

    @in_loop
    async def test_refused(self) -> None:
        bench = Bench()
        bench.link.data_received(REFUSAL)
        self.assertEqual(
            bench.loss(), Loss("ws://broker:8888/path?x=1: refused: 503 Service Unavailable", 503, 7.0)
        )
        self.assertEqual(bench.opened, [])

    @in_loop
    async def test_what_is_no_websocket_server(self) -> None:
        for answer in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"):
            bench = Bench()
            bench.link.data_received(answer)
            bench.transport.close()
            self.assertIsNone(bench.loss().status)

    @in_loop
    async def test_closed_by_the_broker(self) -> None:
        bench = Bench()
        bench.open()
        bench.server.send_close(1009, "too big")
        bench.answer()
        bench.transport.close()
        self.assertEqual(bench.loss().close_code, 1009)
        self.assertIn("closed by the broker: 1009 too big", bench.loss().reason)
        bench.link.send(b"x")

    @in_loop
    async def test_says_goodbye(self) -> None:
        bench = Bench()
        bench.open()
        bench.link.close()
        bench.link.close()
        self.assertTrue(bench.link.is_closing)
        bench.carry()
        self.assertEqual(
            [(event.opcode, event.data) for event in bench.events], [(Opcode.CLOSE, b"\x03\xe8")]
        )
        bench.transport.close()
        self.assertFalse(bench.link.is_closing)

    @in_loop
    async def test_a_silent_connection_is_pinged_then_ended(self) -> None:
        bench = Bench(silence_s=0.06)
        bench.open()
        loss = await bench.link.ended
        self.assertIn("silent for 0.06 s", loss.reason)
        bench.server.receive_data(bench.transport.written)
        self.assertEqual([event.opcode for event in bench.server.events_received()][:1], [Opcode.PING])

    @in_loop
    async def test_reading_rests_until_something_is_sent(self) -> None:
        bench = Bench()
        bench.open()
        for is_paused in (True, True, False, True):
            bench.link.pause(is_paused=is_paused)
        bench.link.send(b"x")
        self.assertEqual(bench.transport.paused, [True, False, True, False])

    def test_no_password_is_logged(self) -> None:
        lines: list[str] = []
        spy = logging.Handler(logging.DEBUG)
        # The server that stands in for the broker here logs the request.
        spy.addFilter(lambda record: record.name != "websockets.server")
        spy.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        root = logging.getLogger()
        before = root.level
        root.addHandler(spy)
        root.setLevel(logging.DEBUG)
        self.addCleanup(root.setLevel, before)
        self.addCleanup(root.removeHandler, spy)

        async def talk() -> None:
            bench = Bench()
            bench.open()
            bench.transport.close()
            lines.append(bench.loss().reason)

        asyncio.run(talk())
        self.assertTrue(lines)
        for text in (SECRET, TARGET.authorization.removeprefix("Basic ")):
            self.assertNotIn(text, "\n".join(lines))
