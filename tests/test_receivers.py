"""Tests for wsmb.receivers."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from wsmb.receivers import Receivers
from wsmb.settings import ReceiverChoice

SENDER = RecordingPeer("sender")


def make(
    count: int, choice: ReceiverChoice = ReceiverChoice.ROUND_ROBIN
) -> tuple[Receivers, list[RecordingPeer]]:
    receivers = Receivers(choice)
    peers = [RecordingPeer(str(number)) for number in range(count)]
    for peer in peers:
        receivers.join(peer)
    return receivers, peers


class ChooseTests(SynchronousTestCase):
    def test_zero_is_every_receiver(self) -> None:
        receivers, peers = make(3)
        self.assertEqual(list(receivers.choose(0, SENDER)), peers)

    def test_round_robin(self) -> None:
        receivers, (a, b, c) = make(3)
        self.assertEqual(
            [list(receivers.choose(2, SENDER)) for _ in range(4)], [[a, b], [c, a], [b, c], [a, b]]
        )

    def test_oldest(self) -> None:
        receivers, (a, b, _) = make(3, ReceiverChoice.OLDEST)
        self.assertEqual([list(receivers.choose(2, SENDER)) for _ in range(2)], [[a, b]] * 2)

    def test_never_the_sender(self) -> None:
        receivers, (a, b, c) = make(3)
        self.assertEqual(list(receivers.choose(0, b)), [a, c])
        self.assertEqual([list(receivers.choose(1, b)) for _ in range(3)], [[a], [c], [a]])
        receivers, (a, b, c) = make(3, ReceiverChoice.OLDEST)
        self.assertEqual(list(receivers.choose(1, a)), [b])

    def test_who_is_here_may_change_between_two_frames_of_one_sender(self) -> None:
        receivers, (a, b, c) = make(3)
        self.assertEqual(list(receivers.choose(0, b)), [a, c])
        self.assertIs(receivers.choose(0, b), receivers.choose(0, b))
        receivers.leave(c)
        self.assertEqual(list(receivers.choose(0, b)), [a])
        receivers.join(c)
        self.assertEqual(list(receivers.choose(0, b)), [a, c])
        self.assertEqual(list(receivers.choose(0, a)), [b, c])

    def test_the_turn_survives_leaving(self) -> None:
        receivers, (a, b, c) = make(3)
        receivers.choose(2, SENDER)
        receivers.leave(a)
        self.assertEqual(list(receivers.choose(1, SENDER)), [c])
        receivers.leave(b)
        self.assertEqual(list(receivers.choose(1, SENDER)), [c])

    def test_joining_and_leaving_twice(self) -> None:
        receivers, (a,) = make(1)
        self.assertFalse(receivers.join(a))
        self.assertEqual(len(receivers), 1)
        self.assertTrue(receivers.leave(a))
        self.assertFalse(receivers.leave(a))
        self.assertEqual(list(receivers.choose(0, SENDER)), [])

    @given(st.integers(0, 8), st.integers(0, 10), st.integers(0, 9), st.sampled_from(ReceiverChoice))
    def test_exactly_as_many_as_asked_for(
        self, count: int, limit: int, sender: int, choice: ReceiverChoice
    ) -> None:
        receivers, peers = make(count, choice)
        who = peers[sender] if sender < count else SENDER
        for _ in range(3):
            chosen = list(receivers.choose(limit, who))
            others = count - (who in peers)
            self.assertEqual(len(chosen), min(limit, others) if limit else others)
            self.assertEqual(len(set(chosen)), len(chosen))
            self.assertNotIn(who, chosen)

    @given(
        st.lists(st.sampled_from(["join", "leave", "choose"]), max_size=60),
        st.integers(1, 3),
        st.randoms(use_true_random=False),
    )
    def test_round_robin_is_fair(self, steps: list[str], limit: int, random: object) -> None:
        """While nobody comes or goes, all have been chosen equally often, give or take one."""
        receivers, peers = make(3)
        for step in steps:
            if step == "join":
                peers.append(RecordingPeer())
                receivers.join(peers[-1])
            elif step == "leave" and peers:
                receivers.leave(peers.pop(random.randrange(len(peers))))
            else:
                receivers.choose(limit, SENDER)
        counts = dict.fromkeys(peers, 0)
        for _ in range(50):
            for peer in receivers.choose(limit, SENDER):
                counts[peer] += 1
        if peers:
            self.assertLessEqual(max(counts.values()) - min(counts.values()), 1)


class TakerTests(SynchronousTestCase):
    def test_in_turn(self) -> None:
        receivers, (a, b) = make(2)
        self.assertEqual([receivers.taker(set(), RecordingPeer.is_full) for _ in range(3)], [a, b, a])

    def test_not_who_is_absent_or_full(self) -> None:
        receivers, (a, b, c) = make(3)
        b.full = True
        self.assertEqual([receivers.taker({a}, RecordingPeer.is_full) for _ in range(2)], [c, c])
        c.full = True
        self.assertIsNone(receivers.taker({a}, RecordingPeer.is_full))

    def test_any_but(self) -> None:
        receivers, (a, b) = make(2)
        self.assertTrue(receivers.any_but({a}))
        self.assertFalse(receivers.any_but({a, b}))
        self.assertFalse(make(0)[0].any_but(set()))


class PassingTests(SynchronousTestCase):
    """Who may be gone in a moment gets what is sent, and nothing that waits."""

    def test_it_gets_what_is_sent(self) -> None:
        receivers, (a,) = make(1)
        b = RecordingPeer("b")
        receivers.join(b, is_passing=True)
        self.assertEqual(list(receivers.choose(0, SENDER)), [a, b])
        self.assertEqual(list(receivers.choose_free(0, SENDER, RecordingPeer.is_full)), [a, b])

    def test_it_takes_nothing_that_waits(self) -> None:
        receivers, (a,) = make(1)
        b = RecordingPeer("b")
        receivers.join(b, is_passing=True)
        self.assertEqual([receivers.taker(set(), RecordingPeer.is_full) for _ in range(2)], [a, a])
        self.assertTrue(receivers.stays(b))
        self.assertFalse(receivers.stays(b))
        self.assertEqual([receivers.taker(set(), RecordingPeer.is_full) for _ in range(2)], [b, a])

    def test_whether_one_is_here_to_stay(self) -> None:
        receivers, (a,) = make(1)
        b = RecordingPeer("b")
        receivers.join(b, is_passing=True)
        self.assertTrue(receivers.any_to_stay)
        receivers.leave(a)
        self.assertFalse(receivers.any_to_stay)
        receivers.leave(b)
        receivers.join(a)
        self.assertTrue(receivers.any_to_stay)

    def test_for_whom_something_that_waits_may_be(self) -> None:
        receivers, (a,) = make(1)
        b = RecordingPeer("b")
        receivers.join(b, is_passing=True)
        self.assertTrue(receivers.any_for_waiting(set()))
        self.assertFalse(receivers.any_for_waiting({a}))
        receivers.leave(a)
        self.assertTrue(receivers.any_for_waiting({a}))
        self.assertFalse(receivers.any_for_waiting({b}))
