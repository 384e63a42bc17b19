"""The tests' own clients: what they write and read."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.php_like_client import PhpLikeClient, binary_frame, pretty
from tests.integration.raw_client import (
    BINARY,
    PONG,
    Frame,
    RawClient,
    client_frame,
    command,
    masked,
)

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n"


class OutgoingTests(SynchronousTestCase):
    def test_a_mask_taken_twice_is_no_mask(self) -> None:
        payload = bytes(range(256)) * 3 + b"\0"
        self.assertEqual(masked(masked(payload, b"\0\x01\xfe\xff"), b"\0\x01\xfe\xff"), payload)
        self.assertEqual(masked(b"", b"abcd"), b"")

    def test_the_example_of_rfc_6455(self) -> None:
        frame = client_frame(b"Hello", mask=bytes.fromhex("37fa213d"))
        self.assertEqual(frame.hex(), "818537fa213d7f9f4d5158")

    def test_the_shortest_length_is_taken_unless_told(self) -> None:
        heads = {125: "81fd", 126: "81fe007e", 65_535: "81feffff", 65_536: "81ff0000000000010000"}
        for size, head in heads.items():
            self.assertEqual(client_frame(bytes(size))[: len(head) // 2].hex(), head)
        self.assertEqual(client_frame(b"x", length_bytes=8)[:10].hex(), "81ff0000000000000001")

    def test_a_fragment_has_no_fin(self) -> None:
        self.assertEqual(client_frame(b"x", fin=False)[0], 0x01)

    def test_php_writes_65535_bytes_with_a_64_bit_length(self) -> None:
        heads = {125: "82fd", 126: "82fe007e", 65_534: "82fefffe", 65_535: "82ff000000000000ffff"}
        for size, head in heads.items():
            self.assertEqual(binary_frame(bytes(size))[: len(head) // 2].hex(), head)

    def test_json_is_printed_as_php_prints_it(self) -> None:
        value = {"command": "ping", "channel": "a/é", "data": [], "n": [1]}
        self.assertEqual(
            pretty(value),
            b'{\n    "command": "ping",\n    "channel": "a\\/\\u00e9",\n    "data": [],\n'
            b'    "n": [\n        1\n    ]\n}',
        )

    def test_a_command_names_the_fields_it_is_given(self) -> None:
        self.assertEqual(
            command("ping", 5, data=["é"]), '{"command": "ping", "channel": 5, "data": ["é"]}'.encode()
        )


class IncomingCase(SynchronousTestCase):
    """A client whose broker is the test itself."""

    def setUp(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.port = self.listener.getsockname()[1]

    def connections(self, answer: bytes) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection; `answer` is on its way to the first already."""
        near = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(near.close)
        far, _ = self.listener.accept()
        far.settimeout(10)
        self.addCleanup(far.close)
        far.sendall(answer)
        return near, far

    def skip_request(self, far: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += far.recv(1)


class RawClientTests(IncomingCase):
    def opened(self, sent: bytes) -> tuple[RawClient, socket.socket]:
        """A client, to which all of `sent` came together with the upgrade's answer."""
        near, broker = self.connections(ANSWER + sent)
        client = RawClient(near)
        self.skip_request(broker)
        return client, broker

    def test_frames_of_all_lengths_are_read(self) -> None:
        client, _ = self.opened(
            b"\x81\x01a" + b"\x82\x7e\x00\x7e" + b"b" * 126 + b"\x89\x7f" + bytes(7) + b"\x01c"
        )
        self.assertEqual(client.status, 101)
        self.assertEqual(
            [client.read_frame() for _ in range(3)],
            [Frame(0x81, b"a"), Frame(0x82, b"b" * 126), Frame(0x89, b"c")],
        )

    def test_pings_are_answered_on_the_way_to_a_text_frame(self) -> None:
        client, broker = self.opened(b"\x89\x02hi\x81\x02{}")
        self.assertEqual(client.read_json(), {})
        self.assertEqual(broker.recv(100), client_frame(b"hi", PONG))

    def test_a_binary_frame_is_no_text_frame(self) -> None:
        client, _ = self.opened(b"\x82\x02{}")
        self.assertRaises(AssertionError, client.read_text)

    def test_a_fence_returns_what_came_before_its_answer(self) -> None:
        client, _ = self.opened(b'\x81\x02{}\x81\x15{"command":"connect"}')
        self.assertEqual(client.fence(), [b"{}"])

    def test_the_end_is_an_error_and_so_is_silence(self) -> None:
        client, broker = self.opened(b"\x81")
        self.assertRaises(TimeoutError, client.read_frame, 0.01)
        broker.close()
        self.assertRaises(EOFError, client.read_frame)


class PhpLikeClientTests(IncomingCase):
    def opened(self, with_answer: bytes = b"") -> tuple[PhpLikeClient, socket.socket]:
        near, broker = self.connections(ANSWER + with_answer)
        client = PhpLikeClient(near)
        self.skip_request(broker)
        return client, broker

    def test_what_comes_with_the_answer_is_lost(self) -> None:
        client, broker = self.opened(b"\x81\x02{}")
        broker.sendall(b"\x81\x0a[12345678]")
        self.assertEqual(client.lost, b"\x81\x02{}")
        self.assertEqual(client.read_json(), [12345678])

    def test_every_ping_is_answered_with_an_empty_pong(self) -> None:
        client, broker = self.opened()
        broker.sendall(b"\x89\x04wsmb\x81\x0a[12345678]")
        self.assertEqual(client.read_json(), [12345678])
        self.assertEqual(broker.recv(100), client_frame(b"", PONG))
        self.assertEqual(client.pings, 1)

    def test_it_fails_on_an_empty_frame_half_a_header_and_a_close_frame(self) -> None:
        for sent in (b"\x81\x00", b"\x81", b"\x88\x02\x03\xe8"):
            client, broker = self.opened()
            broker.sendall(sent)
            self.assertRaises(AssertionError, client.read)

    def test_it_writes_one_binary_frame(self) -> None:
        client, broker = self.opened()
        client.write([])
        self.assertEqual(broker.recv(100), client_frame(b"[]", BINARY))
