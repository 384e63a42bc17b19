"""Tests for wsmb.lingering."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from wsmb.deliveries import Message
from wsmb.lingering import LINGER_BEATS, MESSAGE_COST, PEER_COST, Lingering
from wsmb.pulse import Pulse

SENDER = RecordingPeer("sender")


def message(text: bytes = b"x", sender: RecordingPeer = SENDER) -> Message:
    return Message(b"", (), 0, sender, texts=(text,))


class LingeringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pulse = Pulse()
        self.lingering = Lingering(self.pulse, 1_000_000)

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.pulse.beat(0.0)

    def test_for_the_first_in_order(self) -> None:
        first, second, other = message(), message(), message()
        for name, one in (("c", first), ("d", other), ("c", second)):
            self.lingering.add(name, one, ())
        self.assertEqual(self.lingering.take("c", RecordingPeer()), [first, second])
        self.assertEqual(self.lingering.take("c", RecordingPeer()), [])
        self.assertEqual(self.lingering.take("d", RecordingPeer()), [other])
        self.assertEqual((len(self.lingering), self.lingering.bytes), (0, 0))

    def test_not_for_its_sender(self) -> None:
        own, other = message(), message(sender=RecordingPeer())
        self.lingering.add("c", own, ())
        self.lingering.add("c", other, ())
        self.assertEqual(self.lingering.take("c", SENDER), [other])
        self.assertEqual(self.lingering.take("c", RecordingPeer()), [own])

    def test_for_nobody_if_one_who_has_it_has_come_to_stay(self) -> None:
        peer = RecordingPeer()
        self.lingering.add("c", message(), [peer])
        self.assertEqual(self.lingering.take("c", peer), [])
        self.assertEqual(self.lingering.take("c", RecordingPeer()), [])

    def test_two_seconds(self) -> None:
        self.lingering.add("c", message(), ())
        self.beats(10)
        later = message()
        self.lingering.add("c", later, ())
        self.beats(LINGER_BEATS - 11)
        self.assertEqual(len(self.lingering), 2)
        self.beats(1)
        self.assertEqual(self.lingering.take("c", RecordingPeer()), [later])
        self.assertEqual(self.lingering.bytes, 0)
        self.beats(1)
        self.assertEqual(self.pulse.waiting, set())

    def test_beyond_the_bound_the_oldest_goes(self) -> None:
        messages = [message(b"x" * 100) for _ in range(4)]
        self.lingering.max_bytes = 3 * (MESSAGE_COST + 100)
        for place, one in enumerate(messages):
            self.lingering.add(str(place), one, ())
        found = [self.lingering.take(str(place), RecordingPeer()) for place in range(4)]
        self.assertEqual(found, [[], [messages[1]], [messages[2]], [messages[3]]])

    def test_what_is_larger_than_the_bound_does_not_stay(self) -> None:
        self.lingering.max_bytes = MESSAGE_COST + 100
        self.lingering.add("c", message(b"x" * 101), ())
        self.assertEqual((len(self.lingering), self.lingering.bytes), (0, 0))
        self.lingering.add("c", message(b"x" * 100), ())
        self.assertEqual(len(self.lingering), 1)

    def test_who_has_got_it_counts(self) -> None:
        self.lingering.add("c", message(b""), [RecordingPeer()] * 3)
        self.assertEqual(self.lingering.bytes, MESSAGE_COST + 3 * PEER_COST)

    def test_behind_an_older_one_of_the_same_sender(self) -> None:
        here, late = RecordingPeer(), RecordingPeer()
        self.lingering.add("c", message(), [here])
        new = message()
        self.assertTrue(self.lingering.is_behind(new, "c", late))
        self.assertFalse(self.lingering.is_behind(new, "c", here))
        self.assertFalse(self.lingering.is_behind(new, "d", late))
        self.assertFalse(self.lingering.is_behind(message(sender=RecordingPeer()), "c", late))
        self.beats(LINGER_BEATS)
        self.assertFalse(self.lingering.is_behind(new, "c", late))
