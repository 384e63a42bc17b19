"""What a connection that sends too much of something comes to, on in-memory transports and a clock."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support_protocol import Connection, World, basic, client_frame, request
from wsmb.factory import SLICE_S, SLICES
from wsmb.pausing import MOST_BEHIND_S
from wsmb.protocol import WITHDRAWN_GRACE_S
from wsmb.reading import SMALL_FRAGMENT_BYTES
from wsmb.settings import ChannelSettings, KeepData, Limits

SEND = b'{"command":"send-message","channel":"c","data":[1]}'
RECEIVE = b'{"command":"receive-message","channel":"c"}'
PONG, CLOSE = 0x8A, 0x88


class TrafficCase(SynchronousTestCase):
    def world(self, **limits: int) -> World:
        world = World(limits=Limits(**limits), default_channel=ChannelSettings(keep_data=self.keep_data))
        self.addCleanup(world.close)
        return world

    keep_data = KeepData.NEVER

    def is_read(self, connection: Connection) -> bool:
        state: Any = connection.transport.producerState
        return bool(state == "producing")

    def later(self, world: World, seconds: float) -> None:
        """Time passes; the broker looks ten times a second, as it does."""
        for _ in range(round(seconds * 10)):
            world.clock.advance(0.1)
            world.factory.let_go_on(world.clock.seconds())

    def code(self, connection: Connection) -> int:
        """That of the Close frame, which is the last."""
        first, payload = connection.frames()[-1]
        self.assertEqual(first, CLOSE)
        return int.from_bytes(payload[:2], "big")

    def pongs(self, connection: Connection) -> int:
        return [first for first, _ in connection.frames()].count(PONG)


class ControlFrameTests(TrafficCase):
    def test_pings(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        connection.receive(client_frame(b"x", 9) * 9)
        self.assertTrue(self.is_read(connection))
        connection.receive(client_frame(b"x", 9))
        self.assertFalse(self.is_read(connection))
        self.assertEqual(self.pongs(connection), 10)
        self.later(world, 0.5)
        self.assertTrue(self.is_read(connection))

    def test_what_is_too_much_is_answered_later_and_in_order(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        connection.receive(client_frame(b"x", 9) * 25 + client_frame(b'{"command":"ping","confirm":1}'))
        self.assertEqual(self.pongs(connection), 10)
        self.later(world, 0.7)
        self.assertEqual(self.pongs(connection), 5)
        self.later(world, 1.5)
        self.assertIn(b'"confirm":1', b"".join(connection.payloads()))
        self.assertTrue(self.is_read(connection))

    def test_what_still_comes_waits_behind(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        receiver, sender = world.greeted(), world.greeted()
        receiver.receive(client_frame(RECEIVE))
        sender.receive(client_frame(b"x", 9) * 11)
        sender.receive(client_frame(SEND))
        self.assertEqual(receiver.payloads(), [])
        self.later(world, 1)
        self.assertEqual(receiver.payloads(), [SEND])

    def test_pongs_that_nobody_asked_for(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        connection.receive(client_frame(b"", 10) * 9)
        self.assertTrue(self.is_read(connection))
        connection.receive(client_frame(b"", 10))
        self.assertFalse(self.is_read(connection))

    def test_what_came_behind_such_pongs_waits(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        receiver, sender = world.greeted(), world.greeted()
        receiver.receive(client_frame(RECEIVE))
        sender.receive(client_frame(b"", 10) * 11 + client_frame(SEND))
        self.assertEqual(receiver.payloads(), [])
        self.later(world, 1)
        self.assertEqual(receiver.payloads(), [SEND])

    def test_pongs_that_were_asked_for(self) -> None:
        world = self.world(max_control_frames_per_second=1)
        connection = world.greeted()
        for _ in range(50):
            connection.protocol.ping()
        connection.receive(client_frame(b"", 10) * 50)
        self.assertTrue(self.is_read(connection))

    def test_small_fragments(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        small = client_frame(b" " * (SMALL_FRAGMENT_BYTES - 1), 0, final=False)
        connection = world.greeted()
        connection.receive(client_frame(b"", final=False) + small * 8)
        self.assertTrue(self.is_read(connection))
        connection.receive(small)
        self.assertFalse(self.is_read(connection))
        self.later(world, 1)
        connection.receive(client_frame(b'{"command":"ping","confirm":1}', 0))
        self.assertIn(b'"confirm":1', b"".join(connection.payloads()))

    def test_a_pause_in_the_middle_of_a_fragment(self) -> None:
        world = self.world(max_control_frames_per_second=1)
        connection = world.greeted()
        end = client_frame(b'{"command":"ping","confirm":1}', 0)
        connection.receive(client_frame(b" ", final=False) + end)
        self.assertFalse(self.is_read(connection))
        self.later(world, 1)
        self.assertIn(b'"confirm":1', b"".join(connection.payloads()))

    def test_large_fragments_and_the_ends_of_messages(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        large = client_frame(b" " * SMALL_FRAGMENT_BYTES, final=False) + client_frame(b"1", 0)
        connection.receive(large * 30)
        self.assertTrue(self.is_read(connection))

    def test_who_is_silent_meanwhile_is_not_ended(self) -> None:
        world = self.world(max_control_frames_per_second=1)
        connection = world.greeted()
        connection.receive(client_frame(b"x", 9) * 1_000)
        for _ in range(int(MOST_BEHIND_S)):
            world.clock.advance(1)
            world.factory.sweep(world.clock.seconds())
        self.assertTrue(connection.is_open)

    def flood(self, first: bytes = b"") -> tuple[World, Connection]:
        """A connection that has been behind for almost as long as it may be."""
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        connection.receive(first + client_frame(b"x", 9) * 2_000)
        self.later(world, MOST_BEHIND_S - 1)
        world.factory.sweep(world.clock.seconds())
        self.assertTrue(connection.is_open)
        connection.taken()
        return world, connection

    def test_who_floods_for_too_long_is_ended(self) -> None:
        world, connection = self.flood()
        self.later(world, 2)
        world.factory.sweep(world.clock.seconds())
        connection.taken()
        self.assertFalse(connection.is_open)
        self.assertEqual(world.factory.waiting, {})

    def test_who_knows_extensions_is_told_and_not_waited_for(self) -> None:
        world, connection = self.flood(client_frame(b'{"command":"ping","confirm":1}'))
        self.later(world, 2)
        world.factory.sweep(world.clock.seconds())
        self.assertEqual(self.code(connection), 1008)
        self.later(world, WITHDRAWN_GRACE_S)
        world.factory.sweep(world.clock.seconds())
        self.assertTrue(connection.transport.aborted)

    def test_who_has_caught_up_begins_anew(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        for _ in range(4):
            connection.receive(client_frame(b"x", 9) * 300)
            self.later(world, MOST_BEHIND_S / 2)
            world.factory.sweep(world.clock.seconds())
        self.assertTrue(connection.is_open)

    def test_another_limit_counts_for_who_is_there(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        connection = world.greeted()
        connection.receive(client_frame(b"x", 9) * 15)
        world.factory.use_settings(World(limits=Limits(max_control_frames_per_second=1_000)).settings)
        self.later(world, 0.6)
        connection.receive(client_frame(b"x", 9) * 400)
        self.assertEqual((self.pongs(connection), self.is_read(connection)), (415, True))

    def test_what_is_not_read_for_another_reason_is_no_flood(self) -> None:
        world = self.world(max_control_frames_per_second=10, max_frames_per_second=1)
        connection = world.greeted()
        connection.receive(client_frame(SEND) * 100 + client_frame(b"x", 9) * 15)
        for _ in range(int(MOST_BEHIND_S) + 10):
            self.later(world, 1)
            world.factory.sweep(world.clock.seconds())
        self.assertTrue(connection.is_open)
        self.later(world, 40)
        self.assertEqual((self.pongs(connection), self.is_read(connection)), (15, True))

    def test_many_go_on_one_after_another(self) -> None:
        world = self.world(max_control_frames_per_second=10)
        flooders = [world.greeted() for _ in range(2 * SLICES)]
        for connection in flooders:
            connection.receive(client_frame(b"x", 9) * 15)
            connection.taken()
        world.clock.advance(10)
        world.factory.let_go_on(world.clock.seconds())
        answered = []
        for _ in range(SLICES + 1):
            answered.append(sum(self.pongs(connection) > 0 for connection in flooders))
            world.clock.advance(SLICE_S)
        self.assertEqual(sum(answered), 2 * SLICES)
        self.assertLessEqual(max(answered), 4)


class FragmentTests(TrafficCase):
    def test_so_many_and_one_more(self) -> None:
        world = self.world(max_fragments=5, max_control_frames_per_second=1_000)
        connection = world.greeted()
        connection.receive(client_frame(b"", final=False) + client_frame(b"", 0, final=False) * 3)
        connection.receive(client_frame(b'{"command":"ping","confirm":1}', 0))
        self.assertIn(b'"confirm":1', b"".join(connection.payloads()))
        connection.receive(client_frame(b"", final=False) + client_frame(b"", 0, final=False) * 5)
        self.assertEqual(self.code(connection), 1009)


class RateTests(TrafficCase):
    def test_frames(self) -> None:
        world = self.world(max_frames_per_second=10)
        receiver, sender = world.open(authorization=basic("other", "right")), world.greeted()
        receiver.receive(client_frame(RECEIVE))
        sender.receive(client_frame(SEND) * 9)
        self.assertTrue(self.is_read(sender))
        sender.receive(client_frame(SEND) * 5)
        self.assertFalse(self.is_read(sender))
        self.assertTrue(self.is_read(receiver))
        self.assertEqual(receiver.payloads().count(SEND), 10)
        self.later(world, 0.4)
        self.assertFalse(self.is_read(sender))
        self.later(world, 0.2)
        self.assertEqual((receiver.payloads().count(SEND), self.is_read(sender)), (4, True))

    def test_however_many_come_at_once(self) -> None:
        world = self.world(max_frames_per_second=10)
        receiver, sender = world.open(authorization=basic("other", "right")), world.greeted()
        receiver.receive(client_frame(RECEIVE))
        fragments = client_frame(SEND[:5], final=False) + client_frame(SEND[5:], 0)
        sender.receive((client_frame(SEND) * 40 + fragments * 10) * 2)
        taken = []
        for _ in range(12):
            taken.append(receiver.payloads().count(SEND))
            self.later(world, 1)
        self.assertEqual(sum(taken), 100)
        self.assertEqual(taken[0], 10)
        self.assertLessEqual(max(taken), 15)

    def test_connections_of_a_user_take_turns(self) -> None:
        world = self.world(max_frames_per_second=10)
        receiver = world.open(authorization=basic("other", "right"))
        receiver.receive(client_frame(RECEIVE))
        senders = [world.greeted() for _ in range(5)]
        for number, sender in enumerate(senders):
            sender.receive(client_frame(SEND.replace(b"1", b"%d" % number)) * 200)
        self.later(world, 10)
        got = receiver.payloads()
        counts = [got.count(SEND.replace(b"1", b"%d" % number)) for number in range(5)]
        self.assertTrue(all(15 <= count <= 35 for count in counts), counts)

    def test_proof_is_read_while_the_user_may_send_nothing(self) -> None:
        world = self.world(max_frames_per_second=10)
        receiver, sender = world.greeted(), world.greeted()
        sender.receive(client_frame(SEND) * 20)
        receiver.protocol.ping()
        receiver.receive(client_frame(b"", 10))
        self.assertTrue(self.is_read(receiver))
        receiver.receive(client_frame(SEND))
        self.assertFalse(self.is_read(receiver))

    def test_bytes(self) -> None:
        frame = client_frame(SEND)
        world = self.world(max_bytes_per_second=10 * len(frame))
        connection = world.greeted()
        connection.receive(frame * 9)
        self.assertTrue(self.is_read(connection))
        connection.receive(frame)
        self.assertFalse(self.is_read(connection))

    def test_all_connections_of_a_user_together(self) -> None:
        world = self.world(max_frames_per_second=10)
        one, two, other = world.greeted(), world.greeted(), world.open(authorization=basic("other", "right"))
        one.receive(client_frame(SEND) * 9)
        two.receive(client_frame(SEND) * 9)
        other.receive(client_frame(SEND) * 9)
        self.assertEqual([self.is_read(each) for each in (one, two, other)], [True, False, True])
        one.receive(client_frame(SEND))
        self.assertFalse(self.is_read(one))

    def test_frames_that_come_with_the_request(self) -> None:
        world = self.world(max_frames_per_second=10)
        connection = world.connect()
        connection.receive(request() + client_frame(SEND) * 9)
        self.assertTrue(self.is_read(connection))
        connection.receive(client_frame(SEND))
        self.assertFalse(self.is_read(connection))

    def test_whoever_comes_again_is_not_read_before(self) -> None:
        world = self.world(max_frames_per_second=10, max_bytes_per_second=1_000_000)
        receiver = world.open(authorization=basic("other", "right"))
        receiver.receive(client_frame(RECEIVE))
        first, again = world.greeted(), world.connect()
        first.receive(client_frame(SEND) * 14)
        first.lose()
        self.assertEqual(receiver.payloads().count(SEND), 10)
        again.receive(request() + client_frame(SEND) * 9)
        self.assertEqual((receiver.payloads(), self.is_read(again)), ([], False))
        self.later(world, 0.4)
        self.assertEqual(receiver.payloads(), [])
        self.later(world, 0.2)
        self.assertEqual((receiver.payloads().count(SEND), self.is_read(again)), (5, False))
        self.later(world, 0.5)
        self.assertEqual((receiver.payloads().count(SEND), self.is_read(again)), (4, True))

    def test_pieces_of_a_large_frame_count_when_they_come(self) -> None:
        world = self.world(max_bytes_per_second=1_000)
        connection = world.greeted()
        connection.receive(client_frame(b" " * 5_000)[:1_000])
        self.assertFalse(self.is_read(connection))

    def test_pongs_count_for_nothing(self) -> None:
        world = self.world(max_frames_per_second=1, max_bytes_per_second=1)
        connection = world.greeted()
        connection.protocol.ping()
        connection.receive(client_frame(b"", 10))
        self.assertTrue(self.is_read(connection))

    def test_a_limit_that_is_gone(self) -> None:
        world = self.world(max_frames_per_second=1)
        connection = world.greeted()
        connection.receive(client_frame(SEND) * 1_000)
        world.factory.use_settings(World().settings)
        self.later(world, 0.1)
        self.assertTrue(self.is_read(connection))

    def test_who_has_gone_is_not_waited_for(self) -> None:
        world = self.world(max_frames_per_second=1)
        connection = world.greeted()
        connection.receive(client_frame(SEND) * 10)
        connection.lose()
        self.assertEqual(world.factory.waiting, {})


class BothReasonsTests(TrafficCase):
    keep_data = KeepData.OFFLINE

    def test_it_is_read_when_none_is_left(self) -> None:
        world = self.world(max_frames_per_second=1)
        connection = world.greeted()
        connection.receive(client_frame(SEND))
        connection.protocol.pause()
        self.later(world, 10)
        self.assertFalse(self.is_read(connection))
        connection.receive(client_frame(SEND))
        connection.protocol.resume()
        self.assertFalse(self.is_read(connection))
        self.later(world, 10)
        self.assertTrue(self.is_read(connection))


class LongMessageTests(TrafficCase):
    def sweep(self, world: World, seconds: int, connection: Connection, data: bytes = b"") -> None:
        """Each second the broker looks, and `data` comes."""
        for _ in range(seconds):
            world.clock.advance(1)
            world.factory.sweep(world.clock.seconds())
            if data:
                connection.receive(data)

    def test_half_a_frame(self) -> None:
        for begun in (client_frame(SEND)[:-1], client_frame(SEND)[:1], client_frame(SEND, final=False)):
            world = self.world(max_message_seconds=10)
            connection = world.greeted()
            self.sweep(world, 3, connection)
            connection.receive(begun)
            self.sweep(world, 10, connection)
            self.assertTrue(connection.is_open)
            self.sweep(world, 1, connection)
            connection.taken()
            self.assertFalse(connection.is_open)

    def test_it_begins_no_earlier_than_its_connection(self) -> None:
        world = self.world(max_message_seconds=10)
        world.clock.advance(1_000)
        connection = world.greeted()
        connection.receive(client_frame(SEND)[:7])
        self.sweep(world, 10, connection)
        self.assertTrue(connection.is_open)

    def test_a_byte_a_second_does_not_help(self) -> None:
        world = self.world(max_message_seconds=10)
        connection = world.greeted()
        connection.receive(client_frame(b" " * 1_000)[:20])
        self.sweep(world, 12, connection, b" ")
        connection.taken()
        self.assertFalse(connection.is_open)

    def test_pings_do_not_help(self) -> None:
        world = self.world(max_message_seconds=10)
        connection = world.greeted()
        connection.receive(client_frame(SEND, final=False))
        self.sweep(world, 12, connection, client_frame(b"x", 9))
        connection.taken()
        self.assertFalse(connection.is_open)

    def test_who_knows_extensions_is_told(self) -> None:
        world = self.world(max_message_seconds=10)
        connection = world.greeted()
        connection.receive(client_frame(b'{"command":"ping","confirm":1}') + client_frame(SEND)[:9])
        self.sweep(world, 12, connection)
        self.assertEqual(self.code(connection), 1008)

    def test_one_half_message_after_another(self) -> None:
        world = self.world(max_message_seconds=10)
        connection = world.greeted()
        connection.receive(client_frame(SEND)[:7])
        self.sweep(world, 30, connection, client_frame(SEND)[7:] + client_frame(SEND)[:7])
        self.assertTrue(connection.is_open)

    def test_while_it_is_not_read_it_takes_no_time(self) -> None:
        world = self.world(max_message_seconds=10)
        connection = world.greeted()
        connection.receive(client_frame(SEND)[:7])
        connection.protocol.pause()
        self.sweep(world, 30, connection)
        connection.protocol.resume()
        self.sweep(world, 10, connection)
        self.assertTrue(connection.is_open)


class HeaderTests(TrafficCase):
    def test_so_long_and_one_byte_more(self) -> None:
        world = self.world(max_header_bytes=1_024)
        room = 1_024 - len(request("X: "))
        self.assertIn(b" 101 ", self.answer(world, request("X: " + "x" * room)))
        self.assertIn(b" 431 ", self.answer(world, request("X: " + "x" * (room + 1))))

    def answer(self, world: World, head: bytes) -> bytes:
        connection = world.connect()
        connection.receive(head)
        return connection.taken()
