"""Tests for wsmb.protocol and wsmb.factory; most of them for what Autobahn does behind our back."""

from __future__ import annotations

from typing import Any

from autobahn.websocket import protocol as autobahn_protocol
from twisted.logger import capturedLogs, eventAsText, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support_protocol import Connection, World, basic, client_frame, request
from wsmb.access import AccessRules
from wsmb.errors import CloseCode
from wsmb.handshake import refusal
from wsmb.settings import ChannelSettings, KeepData

RECEIVE = b'{"command":"receive-message","channel":"c"}'
SEND = b'{"command":"send-message","channel":"c","data":[1]}'


class ProtocolTestCase(SynchronousTestCase):
    def world(self, **settings: Any) -> World:
        world = World(**settings)
        self.addCleanup(world.close)
        return world

    def setUp(self) -> None:
        self.one = self.world()

    def receiver(self) -> Connection:
        connection = self.one.greeted()
        connection.receive(client_frame(RECEIVE))
        return connection


class OpeningTests(ProtocolTestCase):
    def test_autobahn_formats_nothing_for_its_debug_log(self) -> None:
        formatted: list[object] = []
        self.patch(autobahn_protocol, "pformat", formatted.append)
        connection = self.world(max_frame_bytes=77).connect()
        self.assertEqual(formatted, [[]])
        self.assertEqual(connection.protocol.maxFramePayloadSize, 77)
        self.assertTrue(connection.protocol.requireMaskedClientFrames)

    def refused(self, data: bytes, status: int, world: World | None = None) -> None:
        connection = (world or self.one).connect()
        connection.receive(data)
        self.assertEqual(connection.taken(), refusal(status))
        self.assertFalse(connection.is_open)

    def test_the_answer_names_no_version_and_no_subprotocol(self) -> None:
        connection = self.one.connect()
        connection.receive(request("Sec-WebSocket-Protocol: arduino"))
        self.assertEqual(
            connection.taken(),
            b"HTTP/1.1 101 Switching Protocols\r\nServer: wsmb\r\nUpgrade: WebSocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n\r\n",
        )

    def test_no_delay_on_the_transport(self) -> None:
        """Autobahn's own tcpNoDelay has no effect on a server."""
        self.assertTrue(self.one.connect().transport.no_delay)

    def test_wrong_or_no_credentials(self) -> None:
        for authorization in (
            None,
            "",
            "Basic",
            "Basic !!!!",
            "Bearer x",
            basic("qa", "wrong"),
            basic("", "right"),
            "Basic cWE=",
        ):
            self.refused(request(authorization=authorization), 401)

    def test_a_browser_logs_in_by_subprotocol(self) -> None:
        connection = self.one.connect()
        connection.receive(request("Sec-WebSocket-Protocol: wsmb, basic.cWE6cmlnaHQ", authorization=None))
        answer = connection.taken()
        self.assertIn(b"\r\nSec-WebSocket-Protocol: wsmb\r\n", answer)
        self.assertNotIn(b"basic.", answer)
        self.assertEqual(connection.protocol.user, "qa")

    def test_a_wrong_password_by_subprotocol(self) -> None:
        for offer in ("wsmb, basic.cWE6d3Jvbmc", "wsmb, basic.", "basic.cWE6cmlnaHQ", "wsmb"):
            self.refused(request(f"Sec-WebSocket-Protocol: {offer}", authorization=None), 401)

    def test_the_subprotocol_wsmb_with_ordinary_credentials(self) -> None:
        connection = self.one.connect()
        connection.receive(request("Sec-WebSocket-Protocol: wsmb"))
        self.assertIn(b"\r\nSec-WebSocket-Protocol: wsmb\r\n", connection.taken())

    def test_only_the_configured_path(self) -> None:
        world = self.world(path="/ws")
        world.open(path="/ws")
        world.open(path="/ws?sessid=1")
        for path in ("/", "/ws/", "/wsx"):
            self.refused(request(path=path), 404, world)

    def test_any_path_by_default(self) -> None:
        for path in ("/", "/ws?sessid=1", "/a/b"):
            self.one.open(path=path)

    def test_origins(self) -> None:
        world = self.world(allowed_origins=("https://shop.example",))
        for origin in ("https://shop.example", "10.1.2.3:8888", "file://"):
            world.open(f"Origin: {origin}")
        for origin in ("https://evil.example", "null", "http://127.0.0.1"):
            self.refused(request(f"Origin: {origin}"), 403, world)

    def test_a_head_that_does_not_end(self) -> None:
        connection = self.one.connect()
        connection.receive(b"GET / HTTP/1.1\r\nX: " + b"x" * 8_000)
        self.assertEqual(connection.taken(), b"")
        connection.receive(b"x" * 200)
        self.assertEqual(connection.taken(), refusal(431))
        self.assertFalse(connection.is_open)

    def test_a_head_that_is_too_long_in_one_piece(self) -> None:
        self.refused(request("X: " + "x" * 9_000), 431)

    def test_a_smuggled_header(self) -> None:
        self.refused(request(f"X: a\x85Authorization: {basic('qa', 'right')}", authorization=None), 400)

    def test_a_head_in_single_bytes(self) -> None:
        connection = self.one.connect()
        for byte in request():
            connection.receive(bytes([byte]))
        self.assertIn(b" 101 ", connection.taken())

    def test_not_a_websocket_request(self) -> None:
        self.refused(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426)
        self.refused(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405)
        self.refused(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505)
        self.refused(b"nonsense\r\n\r\n", 400)
        self.refused(request().replace(b"Version: 13", b"Version: 8"), 426)

    def test_no_text_of_the_request_in_the_refusal_or_the_log(self) -> None:
        told: list[str] = []
        observer = lambda event: told.append(eventAsText(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.refused(b"GET /a#secret HTTP/1.1\r\nHost: a\r\n\r\n", 400)
        self.assertNotIn("secret", "".join(told))

    def test_an_exception_in_the_check_is_a_plain_500(self) -> None:
        world = self.world()
        world.checker.check = lambda *_: {}["secret text"]  # type: ignore[method-assign]
        self.refused(request(), 500, world)
        self.flushLoggedErrors(KeyError)

    def test_a_handshake_that_takes_too_long(self) -> None:
        connection = self.one.connect()
        connection.receive(b"GET / HTTP/1.1\r\n")
        self.one.clock.pump([1] * 12)
        self.assertFalse(connection.is_open)

    def test_the_password_is_forgotten(self) -> None:
        connection = self.one.open()
        self.assertNotIn("right", repr(vars(connection.protocol)))
        self.assertNotIn("cWE6cmlnaHQ", repr(vars(connection.protocol)))

    def test_refusals_are_counted_and_reported_together(self) -> None:
        for _ in range(3):
            self.refused(request(authorization=None), 401)
        self.assertEqual(self.one.factory.take_refusals(), "3 with 401")
        self.assertEqual(self.one.factory.take_refusals(), "")

    def test_what_the_access_list_refuses_is_reported_once(self) -> None:
        self.one.broker.use_access(AccessRules())
        connection = self.one.open()
        for _ in range(2):
            connection.receive(client_frame(b'{"command":"receive-message","channel":"sms"}'))
        with capturedLogs() as events:
            self.one.factory.report_refusals()
            self.one.factory.report_refusals()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["forbidden by the access list in the last minute: qa 2 receive (last on 'sms')"],
        )


class GreetingTests(ProtocolTestCase):
    def test_after_100_ms(self) -> None:
        connection = self.one.open()
        self.one.clock.advance(0.099)
        self.assertEqual(connection.taken(), b"")
        self.one.clock.advance(0.001)
        (greeting,) = connection.payloads()
        self.assertRegex(
            greeting,
            rb'^{"command":"connect","response_code":"00","response_text":"Accepted",'
            rb'"data":\[{"time_stamp":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z"}\]}$',
        )
        self.one.clock.advance(10)
        self.assertEqual(connection.taken(), b"")

    def test_never_in_one_segment_with_the_answer(self) -> None:
        """The PHP client throws away what comes with the answer."""
        connection = self.one.connect()
        writes: list[bytes] = []
        connection.transport.write = writes.append  # type: ignore[method-assign]
        connection.receive(request() + client_frame(SEND))
        self.assertEqual(len(writes), 2)
        self.assertTrue(writes[0].endswith(b"\r\n\r\n"))

    def test_gone_before_the_greeting(self) -> None:
        connection = self.one.open()
        connection.lose()
        self.assertEqual(self.one.clock.getDelayedCalls(), [])


class FrameTests(ProtocolTestCase):
    def test_binary_goes_on_as_text(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sender.receive(client_frame(SEND, opcode=2))
        self.assertEqual(receiver.frames(), [(0x81, SEND)])

    def test_fragments_go_on_as_one_frame(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sender.receive(client_frame(SEND[:5], final=False))
        sender.receive(client_frame(b"", 9) + client_frame(SEND[5:9], 0, final=False))
        sender.receive(client_frame(SEND[9:], 0))
        self.assertEqual(receiver.frames(), [(0x81, SEND)])

    def test_exactly_65535_bytes_with_a_64_bit_length(self) -> None:
        """As the PHP client writes it; Autobahn takes it for an error."""
        receiver, sender = self.receiver(), self.one.greeted()
        payload = SEND.replace(b"1]", b'"' + b"x" * (65_535 - len(SEND) - 1) + b'"]')
        self.assertEqual(len(payload), 65_535)
        frame = client_frame(payload, opcode=2, long=True)
        for pieces in (
            [frame],
            [frame[:7], frame[7:]],
            [frame[:1], frame[1:10], frame[10:30_000], frame[30_000:]],
        ):
            for piece in pieces:
                sender.receive(piece)
            self.assertEqual(receiver.frames(), [(0x81, payload)])

    def test_any_other_length_that_is_too_long_is_an_error(self) -> None:
        for size in (1, 126, 65_534):
            connection = self.one.greeted()
            connection.receive(client_frame(b"x" * size, long=True))
            self.assertEqual(connection.frames()[0][1][:2], (1002).to_bytes(2, "big"))

    def test_half_a_ping_that_holds_a_frame(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        inner = client_frame(SEND)
        ping = b"\x89" + bytes([0x80 | len(inner)]) + bytes(4) + inner
        sender.receive(ping[:6])
        sender.receive(ping[6:])
        self.assertEqual((receiver.frames(), sender.frames()), ([], [(0x8A, inner)]))

    def test_a_whole_message_between_fragments_is_an_error(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sender.receive(client_frame(SEND[:5], final=False))
        sender.receive(client_frame(SEND))
        self.assertEqual(receiver.frames(), [])
        self.assertEqual(sender.frames()[0][1][:2], (1002).to_bytes(2, "big"))

    def test_frames_of_all_sizes_in_any_pieces(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sent = [SEND.replace(b"1", b"%d" % 10**size) for size in range(0, 3_000, 97)]
        stream = b"".join(client_frame(payload, 1 + number % 2) for number, payload in enumerate(sent))
        for step in (1, 7, 1_000, len(stream)):
            for start in range(0, len(stream), step):
                sender.protocol.dataReceived(stream[start : start + step])
            self.assertEqual(receiver.payloads(), sent)

    def test_close_codes(self) -> None:
        for data, code in (
            (client_frame(b"\xff"), 1007),
            (client_frame(b"x", masked=False), 1002),
            (client_frame(b"x", opcode=3), 1002),
            (client_frame(b"x", opcode=0), 1002),
            (client_frame(b"x" * 1_048_577), 1009),
        ):
            connection = self.one.greeted()
            connection.receive(data)
            ((first, payload),) = connection.frames()
            self.assertEqual((first, int.from_bytes(payload[:2], "big")), (0x88, code))

    def test_the_largest_frame(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        payload = SEND.replace(b"1]", b'"' + b"x" * (1_048_576 - len(SEND) - 1) + b'"]')
        sender.receive(client_frame(payload))
        self.assertEqual(receiver.frames(), [(0x81, payload)])

    def test_what_goes_out_may_be_larger_than_what_may_come_in(self) -> None:
        """Autobahn's limit on messages is one for both; here a key is added to the largest frame."""
        receiver, sender = self.one.greeted(), self.one.greeted()
        receiver.receive(client_frame(RECEIVE[:-1] + b',"ack":true}'))
        payload = SEND.replace(b"1]", b'"' + b"x" * (1_048_576 - len(SEND) - 1) + b'"]')
        sender.receive(client_frame(payload))
        self.assertEqual(receiver.frames(), [(0x81, payload[:-1] + b',"delivery":1}')])

    def test_not_utf_8_in_a_binary_frame_is_not_forwarded(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sender.receive(client_frame(SEND.replace(b"1", b'"\xff"'), opcode=2))
        self.assertEqual((receiver.frames(), sender.frames()), ([], []))

    def test_pings_are_answered_in_order(self) -> None:
        connection = self.one.greeted()
        connection.receive(
            client_frame(b"a", 9) + client_frame(b'{"command":"ping"}') + client_frame(b"b", 9)
        )
        self.assertEqual([first for first, _ in connection.frames()], [0x8A, 0x81, 0x8A])

    def test_a_close_is_answered_behind_what_was_sent(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sender.receive(client_frame(SEND))
        receiver.receive(client_frame((1000).to_bytes(2, "big"), 8))
        self.assertEqual(receiver.frames(), [(0x81, SEND), (0x88, b"\x03\xe8")])
        self.assertFalse(receiver.is_open)

    def test_no_message_behind_a_close_frame(self) -> None:
        """It would be lost: nobody reads it, and on a kept channel it would count as delivered."""
        receiver, other, sender = self.receiver(), self.receiver(), self.one.greeted()
        receiver.receive(client_frame(b"", opcode=3))
        sender.receive(client_frame(SEND))
        self.assertEqual([first for first, _ in receiver.frames()], [0x88])
        self.assertEqual(other.payloads(), [SEND])
        self.assertTrue(receiver.is_open, "until it has answered")

    def test_a_frame_that_comes_just_before_the_end(self) -> None:
        receiver, sender = self.receiver(), self.one.greeted()
        sender.protocol.dataReceived(client_frame(SEND))
        sender.lose()
        self.assertEqual(receiver.payloads(), [SEND])

    def test_a_receiver_that_left_gets_nothing(self) -> None:
        receiver, other, sender = self.receiver(), self.receiver(), self.one.greeted()
        receiver.lose()
        sender.receive(client_frame(SEND))
        self.assertEqual((receiver.taken(), other.payloads()), (b"", [SEND]))


class EndingTests(ProtocolTestCase):
    def test_ended_by_closing_tcp_after_what_is_queued(self) -> None:
        """A Close frame would kill the PHP receiver; it reconnects after a plain end."""
        receiver, sender = self.receiver(), self.one.greeted()
        sender.protocol.dataReceived(client_frame(SEND))
        receiver.protocol.end(CloseCode.STOPPING)
        self.assertEqual(receiver.frames(), [(0x81, SEND)])
        self.assertFalse(receiver.is_open)

    def test_a_receiver_that_does_not_read_is_ended(self) -> None:
        self.one = self.world(max_outstanding_bytes=1_048_576)
        receiver, sender = self.receiver(), self.one.greeted()
        receiver.transport.producer.pauseProducing()
        large = SEND.replace(b"1", b'"' + b"x" * 600_000 + b'"')
        for _ in range(2):
            sender.receive(client_frame(large))
        self.assertFalse(receiver.is_open)
        sender.receive(client_frame(SEND))
        self.assertEqual(len(self.one.factory.connections), 1)

    def test_nobody_is_let_in_any_more(self) -> None:
        self.one.checker.at_once = False
        early, late = self.one.connect(), self.one.connect()
        early.receive(request())
        self.one.factory.stop_taking()
        late.receive(request())
        self.one.checker.answer()
        self.assertEqual((early.taken(), late.taken()), (refusal(503), refusal(503)))

    def test_a_close_frame_is_waited_for_and_not_for_ever(self) -> None:
        """Autobahn's timers are gathered to full seconds, and fire up to one early."""
        connection = self.one.greeted()
        connection.receive(client_frame(b"", opcode=3))
        self.one.clock.pump([0.1] * 19)
        self.assertTrue(connection.is_open)
        self.one.clock.pump([0.1] * 20)
        self.assertFalse(connection.is_open)

    def test_nothing_holds_who_left_without_answering_a_close_frame(self) -> None:
        connection = self.one.greeted()
        connection.receive(client_frame(b"", opcode=3))
        connection.lose()
        self.assertEqual(self.one.clock.getDelayedCalls(), [])

    def test_end_all(self) -> None:
        connections = [self.one.greeted() for _ in range(3)]
        ended = self.one.factory.end_all(1, 2)
        self.one.clock.pump([0.01] * 3)
        self.successResultOf(ended)
        self.assertFalse(any(connection.is_open for connection in connections))
        self.assertEqual(self.one.clock.getDelayedCalls(), [])


class SilenceTests(ProtocolTestCase):
    """The broker's own pings. Autobahn's want their payload back, which the PHP client drops."""

    def setUp(self) -> None:
        self.one = self.world(ping_interval_s=30, ping_timeout_s=60)
        self.connection = self.receiver()

    def sweeps(self, seconds: int) -> None:
        for _ in range(seconds):
            self.one.clock.advance(1)
            self.one.factory.sweep(self.one.clock.seconds())

    def test_pinged_when_silent_with_a_payload(self) -> None:
        self.sweeps(30)
        self.assertEqual(self.connection.frames(), [])
        self.sweeps(1)
        self.assertEqual(self.connection.frames(), [(0x89, b"wsmb 0")])

    def test_an_empty_pong_is_a_sign_of_life(self) -> None:
        for _ in range(10):
            self.sweeps(40)
            self.assertEqual(len(self.connection.frames()), 1)
            self.connection.receive(client_frame(b"", 10))
        self.assertTrue(self.connection.is_open)

    def test_so_is_anything_else(self) -> None:
        for _ in range(10):
            self.sweeps(80)
            self.connection.receive(client_frame(RECEIVE))
        self.assertTrue(self.connection.is_open)

    def test_who_is_not_read_by_us_is_not_taken_for_silent(self) -> None:
        self.connection.protocol.pause()
        self.sweeps(1_000)
        self.assertEqual((self.connection.frames(), self.connection.is_open), ([], True))
        self.connection.protocol.resume()
        self.sweeps(100)
        self.assertFalse(self.connection.is_open)

    def test_who_takes_what_is_queued_is_not_taken_for_silent(self) -> None:
        for _ in range(10):
            self.sweeps(80)
            self.connection.protocol.outbox.resumeProducing()
        self.assertTrue(self.connection.is_open)

    def test_a_closing_connection_that_takes_nothing_is_ended(self) -> None:
        self.connection.transport.loseConnection = lambda: None
        self.connection.receive(client_frame((1000).to_bytes(2, "big"), 8))
        self.assertTrue(self.connection.is_open)
        self.sweeps(9)
        self.assertFalse(self.connection.transport.aborted)
        self.sweeps(3)
        self.assertTrue(self.connection.transport.aborted)

    def test_no_ping_behind_a_close_frame(self) -> None:
        self.connection.receive(client_frame(b"", opcode=3))
        self.connection.taken()
        self.assertTrue(self.connection.is_open)
        self.one.factory.sweep(1)
        self.one.factory.sweep(100)
        self.assertEqual(self.connection.frames(), [])

    def test_ended_when_nothing_comes(self) -> None:
        self.sweeps(90)
        self.assertTrue(self.connection.is_open)
        self.sweeps(2)
        self.assertTrue(self.connection.transport.aborted)

    def test_silence_counts_from_the_ping_that_was_sent(self) -> None:
        self.one = self.world(ping_interval_s=0, default_channel=ChannelSettings(keep_data=KeepData.OFFLINE))
        receiver, sender = self.receiver(), self.one.greeted()
        self.one.store.settle()
        self.sweeps(1_000)
        sender.receive(client_frame(SEND))
        self.assertEqual([first for first, _ in receiver.frames()], [0x81, 0x89])
        self.sweeps(60)
        self.assertTrue(receiver.is_open)
        self.sweeps(3)
        self.assertFalse(receiver.is_open)

    def test_who_has_answered_a_ping_for_proof_is_pinged_again(self) -> None:
        self.one = self.world(default_channel=ChannelSettings(keep_data=KeepData.OFFLINE))
        receiver, sender = self.receiver(), self.one.greeted()
        self.one.store.settle()
        self.sweeps(2)
        sender.receive(client_frame(SEND))
        for _ in range(5):
            self.assertEqual(receiver.frames()[-1][0], 0x89)
            receiver.receive(client_frame(b"", 10))
            self.sweeps(32)
        self.assertTrue(receiver.is_open)

    def test_never_pinged_when_the_interval_is_zero(self) -> None:
        self.one = self.world(ping_interval_s=0)
        connection = self.receiver()
        self.sweeps(10_000)
        self.assertEqual((connection.frames(), connection.is_open), ([], True))
