"""The channel in the URL over bytes: what a request is answered, and what comes behind."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support_protocol import Connection, World, basic, client_frame, request
from tests.test_access import rule
from wsmb.access import AccessRules
from wsmb.errors import CloseCode
from wsmb.settings import ChannelSettings, KeepData, Limits
from wsmb.topic_session import QUIET_BEATS, SILENT_BEATS

TEXT, PING, PONG, CLOSE = 0x81, 0x89, 0x8A, 0x88
ESP32 = ("Origin: file://", "Sec-WebSocket-Protocol: arduino")


class TopicWorld(SynchronousTestCase):
    def world(self, **settings: object) -> World:
        world = World(**settings)
        self.addCleanup(world.close)
        return world

    def topic(self, world: World, query: str = "topic=sms", *headers: str) -> Connection:
        return world.open(*headers, path=f"/?{query}")

    def beats(self, world: World, count: int) -> None:
        for _ in range(count):
            world.clock.advance(0.1)
            world.broker.tick(world.clock.seconds())
        world.store.settle()

    def answer(self, world: World, path: str, *headers: str, **options: str) -> str:
        connection = world.connect()
        connection.receive(request(*headers, path=path, **options))
        answer = connection.taken().decode()
        self.assertEqual(connection.is_open, " 101 " in answer)
        return answer


class OpeningTests(TopicWorld):
    def test_a_subprotocol_that_is_not_known_is_not_selected(self) -> None:
        answer = self.answer(self.world(), "/?topic=sms", *ESP32)
        self.assertTrue(answer.startswith("HTTP/1.1 101 "))
        self.assertNotIn("sec-websocket-protocol", answer.lower())

    def test_a_browser_says_who_it_is_by_subprotocol(self) -> None:
        token = basic("qa", "right").removeprefix("Basic ").rstrip("=")
        offer = f"Sec-WebSocket-Protocol: wsmb, basic.{token}"
        answer = self.answer(self.world(), "/?topic=sms", offer, authorization="")
        self.assertIn("Sec-WebSocket-Protocol: wsmb\r\n", answer)

    def test_a_query_that_is_wrong_is_answered_with_400_and_why(self) -> None:
        world = self.world()
        answer = self.answer(world, "/?topic=a&channel=b", authorization="")
        self.assertTrue(answer.startswith("HTTP/1.1 400 Bad Request\r\n"))
        body = "400 Bad Request\ntopic and channel are both given; give one of them\n"
        self.assertTrue(answer.endswith(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"))
        self.assertEqual(world.factory.take_refusals(), "1 with 400")

    def test_what_is_told_holds_nothing_of_the_query(self) -> None:
        for query in ("topic=SECRET&topic=SECRET", "topic=SECRET%", "topic=SECRET&role=SECRET"):
            self.assertNotIn("SECRET", self.answer(self.world(), f"/?{query}"))

    def test_who_is_wrong_about_more_is_told_of_the_first(self) -> None:
        world = self.world(path="/broker")
        for path, header, status in (
            ("/?topic=", "Origin: https://shop.example", 404),
            ("/broker?topic=", "Origin: https://shop.example", 403),
            ("/broker?topic=", "X: y", 400),
            ("/broker?topic=sms", "X: y", 401),
        ):
            self.assertIn(f" {status} ", self.answer(world, path, header, authorization=basic("qa", "wrong")))

    def test_the_path_counts(self) -> None:
        world = self.world(path="/broker")
        self.assertIn(" 404 ", self.answer(world, "/?topic=sms"))
        self.assertIn(" 101 ", self.answer(world, "/broker?topic=sms"))

    def test_who_may_neither_send_nor_receive_is_not_let_in(self) -> None:
        rules = (rule(True, "qa", "send", "s*"), rule(True, "qa", "receive", "r*"))
        world = self.world(access=AccessRules(rules))
        for name, status in (("secret", 101), ("read", 101), ("other", 403)):
            self.assertIn(f" {status} ", self.answer(world, f"/?topic={name}"))
        self.assertIn(" 401 ", self.answer(world, "/?topic=other", authorization=basic("qa", "wrong")))
        self.assertEqual(world.factory.door.connections, 2)

    def test_who_may_receive_is_not_let_in_where_there_is_no_room(self) -> None:
        world = self.world(limits=Limits(max_channels=1))
        self.topic(world)
        answer = self.answer(world, "/?topic=other")
        self.assertIn(" 503 ", answer)
        self.assertIn("\r\nRetry-After: ", answer)
        self.assertIn(" 101 ", self.answer(world, "/?topic=sms"))

    def test_any_other_query_is_of_a_connection_with_commands(self) -> None:
        world = self.world()
        connection = world.open(path="/ws?sessid=1")
        connection.receive(client_frame(b'{"command":"ping"}'))
        self.assertIn(b'"response_code":"00"', connection.payloads()[0])


class ConversationTests(TopicWorld):
    def test_no_greeting_and_no_answer(self) -> None:
        world = self.world()
        connection = self.topic(world)
        self.beats(world, 5)
        connection.receive(client_frame(b'{"command":"ping"}') + client_frame(b"\xff", 2))
        self.beats(world, 5)
        self.assertEqual(connection.taken(), b"")

    def test_text_and_binary_frames_and_fragments_arrive_as_one_text_frame(self) -> None:
        world = self.world()
        sender, receiver = self.topic(world), self.topic(world, "channel=sms")
        sender.receive(client_frame(b"text") + client_frame(b"binary", 2) + client_frame(b""))
        sender.receive(client_frame(b"frag", final=False) + client_frame(b"ments", 0))
        sender.receive(client_frame(b"x" * 70_000))
        expected = [b"text", b"binary", b"", b"fragments", b"x" * 70_000]
        self.assertEqual(receiver.frames(), [(TEXT, text) for text in expected])
        self.assertEqual(sender.frames(), [])

    def test_a_text_frame_that_is_not_utf_8_ends_the_connection_as_ever(self) -> None:
        connection = self.topic(self.world())
        connection.receive(client_frame(b"\xff"))
        self.assertEqual(connection.frames()[0][0], CLOSE)

    def test_its_own_pings_are_answered(self) -> None:
        connection = self.topic(self.world())
        connection.receive(client_frame(b"", 9) + client_frame(b"x", 9))
        self.assertEqual(connection.frames(), [(PONG, b""), (PONG, b"x")])

    def test_what_came_with_the_request_is_sent(self) -> None:
        world = self.world()
        receiver = self.topic(world)
        publisher = world.connect()
        publisher.receive(request(path="/?topic=sms") + client_frame(b"on"))
        publisher.lose()
        self.assertEqual(receiver.frames(), [(TEXT, b"on")])

    def test_waiting_items_never_come_with_the_upgrades_answer(self) -> None:
        world = self.world(default_channel=ChannelSettings(keep_data=KeepData.OFFLINE))
        world.store.insert(1, "sms", b'"waiting"')
        connection = self.topic(world, "topic=sms&role=receiver")
        world.store.settle()
        self.assertEqual(connection.frames(), [(TEXT, b"waiting")])

    def test_no_ping_of_the_sweep_in_the_first_two_seconds(self) -> None:
        world = self.world(ping_interval_s=1.0, ping_timeout_s=2.0)
        connection = self.topic(world)
        for _ in range(QUIET_BEATS - 1):
            self.beats(world, 1)
            world.factory.sweep(world.clock.seconds())
        self.assertEqual(connection.frames(), [])
        self.beats(world, 1)
        self.assertEqual(connection.frames(), [(PING, b"wsmb 0")])
        connection.receive(client_frame(b"", 10))
        for _ in range(15):
            self.beats(world, 1)
            world.factory.sweep(world.clock.seconds())
        self.assertEqual(connection.frames(), [(PING, b"wsmb 1")])
        self.beats(world, 30)
        world.factory.sweep(world.clock.seconds())
        self.assertFalse(connection.is_open)

    def test_the_end_by_the_broker_has_no_close_frame(self) -> None:
        token = basic("qa", "right").removeprefix("Basic ").rstrip("=")
        world = self.world()
        for offer in ("X: y", f"Sec-WebSocket-Protocol: wsmb, basic.{token}"):
            connection = self.topic(world, "topic=sms", offer)
            connection.protocol.end_now(CloseCode.STOPPING)
            self.assertEqual((connection.taken(), connection.is_open), (b"", False))

    def test_a_user_who_is_withdrawn_is_out(self) -> None:
        world = self.world()
        connection = self.topic(world)
        world.factory.withdraw({"qa"})
        self.assertFalse(connection.is_open)
        self.beats(world, SILENT_BEATS)
        self.assertEqual(len(world.broker.channels), 0)

    def test_it_is_not_read_on_beyond_its_users_rate(self) -> None:
        world = self.world(limits=Limits(max_frames_per_second=10))
        connection = self.topic(world)
        connection.receive(client_frame(b"x") * 40)
        self.assertEqual(connection.transport.producerState, "paused")
        self.assertEqual(connection.protocol.frames_in, 10)
        for _ in range(8):
            self.beats(world, 10)
            world.factory.let_go_on(world.clock.seconds())
        self.assertEqual(connection.protocol.frames_in, 40)
        self.assertEqual(connection.transport.producerState, "producing")

    def test_a_flood_of_pings_is_read_later(self) -> None:
        world = self.world(limits=Limits(max_control_frames_per_second=5))
        connection = self.topic(world)
        connection.receive(client_frame(b"", 9) * 40)
        self.assertLess(len(connection.frames()), 40)
