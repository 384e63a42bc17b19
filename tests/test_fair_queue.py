"""Tests for wsmb.fair_queue."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.fair_queue import FairQueue


def filled(*texts: str) -> FairQueue[str]:
    """Each text is put in the line of its first character."""
    queue: FairQueue[str] = FairQueue()
    for text in texts:
        queue.put(text[0], text)
    return queue


def taken(queue: FairQueue[str]) -> list[str]:
    found = []
    while (one := queue.take()) is not None:
        found.append(one)
    return found


class FairQueueTests(SynchronousTestCase):
    def test_lines_take_turns(self) -> None:
        self.assertEqual(
            taken(filled("a1", "a2", "a3", "b1", "c1", "b2")), ["a1", "b1", "c1", "a2", "b2", "a3"]
        )

    def test_who_was_just_served_stands_behind_who_comes(self) -> None:
        queue = filled("a1", "a2", "a3")
        self.assertEqual(queue.take(), "a1")
        queue.put("b", "b1")
        self.assertEqual(taken(queue), ["a2", "b1", "a3"])

    def test_the_last_of_the_longest_line(self) -> None:
        queue = filled("a1", "b1", "b2", "a2", "b3")
        self.assertEqual(queue.take_last_of_longest(), "b3")
        self.assertEqual((len(queue), taken(queue)), (4, ["a1", "b1", "a2", "b2"]))

    def test_remove(self) -> None:
        queue = filled("a1", "a2", "b1")
        queue.remove("a", "a1")
        queue.remove("a", "a1")
        queue.remove("c", "c1")
        queue.remove("b", "b1")
        self.assertEqual((len(queue), taken(queue), len(queue)), (1, ["a2"], 0))

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3))))
    def test_none_is_lost_and_each_line_keeps_its_order(self, steps: list[tuple[str, int]]) -> None:
        queue: FairQueue[str] = FairQueue()
        put, out = [], []
        for number, (place, takes) in enumerate(steps):
            put.append(f"{place}{number:03}")
            queue.put(place, put[-1])
            out += [one for one in (queue.take() for _ in range(takes)) if one]
            self.assertEqual(len(queue), len(put) - len(out))
        out += taken(queue)
        self.assertEqual(sorted(out), sorted(put))
        for place in "abc":
            of_line = [one for one in out if one[0] == place]
            self.assertEqual(of_line, sorted(of_line))
