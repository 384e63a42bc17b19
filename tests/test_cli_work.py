"""Tests for the items that `wsmb receive --exec` has in its hands: at least once, whatever happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from wsmb.cli.jobs import REMEMBER_S, Answer, Job, Outcome
from wsmb.cli.work import LONGEST_RETRY_S, SPLIT_S, Work

BEGIN_S, RETRY_S = 25.0, 5.0
DONE, FAILED, DEAD = Outcome.DONE, Outcome.FAILED, Outcome.DEAD


class WorkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.work = Work(BEGIN_S, RETRY_S)
        self.now = 100.0

    def came(self, number: int | None, *items: bytes, again: bool = False) -> None:
        self.work.came(number, "sms", items, self.now, is_redelivered=again)

    def begin(self, items: int) -> list[Job]:
        jobs = [self.work.next(self.now) for _ in range(items)]
        self.assertNotIn(None, jobs)
        return [job for job in jobs if job is not None]

    def end(self, *outcomes: Outcome) -> list[float]:
        """Begin and end as many items."""
        return [self.work.ended(self.begin(1)[0], outcome, self.now) for outcome in outcomes]

    def assert_answers(self, *answers: Answer) -> None:
        self.assertEqual(self.work.take_answers(), list(answers))

    def assert_nothing_to_do(self) -> None:
        self.assertIsNone(self.work.next(self.now))


class FrameTests(WorkCase):
    def test_one_item(self) -> None:
        self.came(1, b"a")
        self.assert_answers()
        self.end(DONE)
        self.assert_answers(Answer(1, True))
        self.assert_nothing_to_do()

    def test_a_frame_counts_when_all_of_it_is_done(self) -> None:
        self.came(1, b"a", b"b")
        first, second = self.begin(2)
        self.work.ended(second, DONE, self.now)
        self.assert_answers()
        self.work.ended(first, DONE, self.now)
        self.assert_answers(Answer(1, True))

    def test_a_frame_without_items(self) -> None:
        self.came(1)
        self.assert_answers(Answer(1, True))

    def test_without_a_number_nothing_is_answered(self) -> None:
        self.came(None, b"a", b"b")
        self.now += 10 * BEGIN_S
        self.end(DONE, FAILED)
        self.assert_answers()

    def test_the_delay_doubles_with_each_failure_and_begins_anew_after_a_success(self) -> None:
        delays = []
        for number, outcome in enumerate([FAILED] * 8 + [DONE, FAILED]):
            self.came(number, b"a")
            delays += self.end(outcome)
        self.assertEqual(delays, [5, 10, 20, 40, 80, 160, 300, 300, 0, 5])
        self.assertEqual(self.work.take_answers()[1], Answer(1, False, 10.0))
        self.assertEqual(LONGEST_RETRY_S, 300)

    def test_another_item_has_its_own_delay(self) -> None:
        self.came(1, b"a")
        self.came(2, b"b")
        self.assertEqual(self.end(FAILED, FAILED), [5, 5])

    def test_dead(self) -> None:
        self.came(1, b"a")
        self.end(DEAD)
        self.assert_answers(Answer(1, False, None))

    def test_a_dead_one_among_others_has_to_come_alone(self) -> None:
        for outcomes, items in (((DONE, DEAD), (b"a", b"b")), ((DEAD, DONE), (b"b", b"a"))):
            self.came(1, *items)
            self.end(*outcomes)
            self.assert_answers(Answer(1, False, SPLIT_S))
            self.came(2, b"a", again=True)
            self.came(3, b"b", again=True)
            self.end(DEAD)
            self.assert_answers(Answer(2, True), Answer(3, False, None))

    def test_what_has_waited_too_long_to_begin_goes_back(self) -> None:
        self.came(1, b"a", b"b", b"c")
        (first,) = self.begin(1)
        self.now += BEGIN_S
        self.assert_nothing_to_do()
        self.assert_answers()
        self.work.ended(first, DONE, self.now)
        self.assert_answers(Answer(1, False, SPLIT_S))
        self.came(2, b"a", again=True)
        self.assert_answers(Answer(2, True))


class AgainTests(WorkCase):
    """What has ended well is not run again by the same process."""

    def test_the_others_of_a_rejected_frame(self) -> None:
        self.came(1, b"a", b"b")
        self.end(DONE, FAILED)
        self.assert_answers(Answer(1, False, RETRY_S))
        self.came(2, b"a", again=True)
        self.assert_answers(Answer(2, True))
        self.came(3, b"b", again=True)
        self.end(DONE)
        self.assert_answers(Answer(3, True))

    def test_once_only(self) -> None:
        self.came(1, b"a", b"b")
        self.end(DONE, FAILED)
        self.came(2, b"a", again=True)
        self.came(3, b"a", again=True)
        self.work.confirmed(2, self.now, is_accepted=True)
        self.assertEqual(self.begin(1)[0].item, b"a")

    def test_a_new_item_with_the_same_content_is_run(self) -> None:
        self.came(1, b"a", b"b")
        self.end(DONE, FAILED)
        self.came(2, b"a")
        self.assertEqual(len(self.begin(1)), 1)

    def test_the_same_content_on_another_channel_is_run(self) -> None:
        self.came(1, b"a", b"b")
        self.end(DONE, FAILED)
        self.work.came(2, "other", [b"a"], self.now, is_redelivered=True)
        self.assertEqual(len(self.begin(1)), 1)

    def test_what_ran_while_the_connection_broke(self) -> None:
        self.came(1, b"a")
        self.came(2, b"not begun")
        (running,) = self.begin(1)
        self.work.lost(self.now)
        self.assert_nothing_to_do()
        self.came(1, b"a", again=True)
        self.assert_nothing_to_do()
        self.work.ended(running, DONE, self.now)
        self.assert_answers(Answer(1, True))

    def test_what_ended_while_there_was_no_connection(self) -> None:
        self.came(9, b"x", b"y")
        self.end(DONE, FAILED)  # something older is remembered
        for outcome, runs_again in ((DONE, False), (FAILED, True)):
            self.came(1, b"a")
            (running,) = self.begin(1)
            self.work.lost(self.now)
            self.work.ended(running, outcome, self.now)
            self.assert_answers()
            self.came(1, b"a", again=True)
            self.assertEqual(self.work.next(self.now) is not None, runs_again)

    def test_what_was_not_said_before_the_connection_broke(self) -> None:
        self.came(1, b"a")
        self.end(DONE)
        self.work.lost(self.now)
        self.assert_answers()  # the number would mean another frame

    def test_what_was_taken_back_while_it_ran_waits_for_the_broker_s_word(self) -> None:
        for is_accepted, runs_again in ((False, False), (True, True)):
            self.came(1, b"a")
            (running,) = self.begin(1)
            self.came(2, b"a", again=True)
            self.assert_nothing_to_do()
            self.work.ended(running, DONE, self.now)
            self.assert_answers(Answer(1, True))
            self.assert_nothing_to_do()
            self.work.confirmed(1, self.now, is_accepted=is_accepted)
            job = self.work.next(self.now)
            self.assertEqual(job is not None, runs_again)
            if job is not None:
                self.work.ended(job, DONE, self.now)
            self.assert_answers(Answer(2, True))
            self.work.confirmed(2, self.now, is_accepted=True)

    def test_what_was_taken_back_is_not_waited_for_after_a_failure(self) -> None:
        self.came(1, b"a")
        (running,) = self.begin(1)
        self.came(2, b"a", again=True)
        self.work.ended(running, FAILED, self.now)
        self.assertEqual(len(self.begin(1)), 1)

    def test_what_was_taken_back_is_not_waited_for_after_the_connection_broke(self) -> None:
        self.came(1, b"a")
        self.end(DONE)
        self.work.lost(self.now)
        self.came(1, b"a", again=True)
        self.assertEqual(len(self.begin(1)), 1)

    def test_two_of_the_same_in_one_frame_do_not_wait_for_each_other(self) -> None:
        self.came(1, b"a", b"a", again=True)
        self.assertEqual(len(self.begin(2)), 2)

    def test_for_ten_minutes(self) -> None:
        self.came(1, b"a", b"b")
        self.end(DONE, FAILED)
        self.now += REMEMBER_S
        self.came(2, b"a", again=True)
        self.assertEqual(len(self.begin(1)), 1)

    def test_not_more_than_so_many(self) -> None:
        self.work = Work(BEGIN_S, RETRY_S, most_remembered=2)
        items = [b"1", b"2", b"3", b"x"]
        self.came(1, *items)
        self.end(DONE, DONE, DONE, FAILED)
        self.came(2, *items[:3], again=True)
        self.assertEqual([job.item for job in self.begin(1)], [b"1"])
        self.assert_nothing_to_do()


class StopTests(WorkCase):
    def test_what_has_not_begun_goes_back_at_once_and_the_rest_is_finished(self) -> None:
        self.came(1, b"a")
        self.came(2, b"b")
        self.came(3, b"c", b"d")
        first, *_ = self.begin(1)
        self.work.stop(self.now)
        self.assert_answers(Answer(2, False), Answer(3, False))
        self.came(4, b"e")
        self.assert_answers(Answer(4, False))
        self.assert_nothing_to_do()
        self.work.ended(first, DONE, self.now)
        self.assert_answers(Answer(1, True))


class Broker:
    """What a broker does with items: it delivers each until it has been acknowledged.

    `keeps`: what it delivers again after a delay, or a lost connection, comes one by one.
    """

    def __init__(self, work: Work, *, keeps: bool) -> None:
        self.work = work
        self.keeps = keeps
        self.confirms: list[tuple[int, bool]] = []
        self.now = 0.0
        self.outstanding: dict[int, list[bytes]] = {}
        self.running: list[Job] = []
        self.done: Counter[bytes] = Counter()
        self.acknowledged: Counter[bytes] = Counter()
        self.again: list[list[bytes]] = []
        self.numbers = 0

    def deliver(self, items: Sequence[bytes], *, again: bool = False) -> None:
        self.numbers += 1
        self.outstanding[self.numbers] = list(items)
        self.work.came(self.numbers, "sms", items, self.now, is_redelivered=again)
        self.hear()

    def hear(self) -> None:
        for answer in self.work.take_answers():
            is_known = answer.number in self.outstanding
            items = self.outstanding.pop(answer.number, [])
            if answer.is_done:
                self.confirms.append((answer.number, is_known))
                self.acknowledged.update(items)
            elif self.keeps and answer.delay_s:
                self.again += [[item] for item in items]
            else:
                self.again.append(items)

    def confirm(self) -> None:
        if self.confirms:
            number, is_known = self.confirms.pop(0)
            self.work.confirmed(number, self.now, is_accepted=is_known)
            self.hear()

    def time_out(self, place: int) -> None:
        """A frame was not acknowledged in time: it comes again, while it is still worked on."""
        numbers = list(self.outstanding)
        if numbers:
            self.again.append(self.outstanding.pop(numbers[place % len(numbers)]))

    def break_connection(self) -> None:
        for items in self.outstanding.values():
            self.again += [[item] for item in items] if self.keeps else [items]
        self.outstanding.clear()
        self.confirms.clear()
        self.work.lost(self.now)

    def deliver_again(self) -> None:
        again, self.again = self.again, []
        for items in again:
            self.deliver(items, again=True)

    def begin(self) -> None:
        job = self.work.next(self.now)
        if job is not None:
            self.running.append(job)
        self.hear()

    def end(self, place: int, outcome: Outcome) -> None:
        if self.running:
            job = self.running.pop(place % len(self.running))
            self.done[job.item] += outcome is DONE
            self.work.ended(job, outcome, self.now)
            self.hear()


NUMBERS = st.integers(0, 9)
STEPS = st.one_of(
    st.tuples(st.just("deliver"), st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=3)),
    st.tuples(st.just("deliver_again")),
    st.tuples(st.just("begin")),
    st.tuples(st.just("begin")),
    st.tuples(st.just("end"), NUMBERS, st.sampled_from([DONE, FAILED])),
    st.tuples(st.just("time_out"), NUMBERS),
    st.tuples(st.just("confirm")),
    st.tuples(st.just("break_connection")),
    st.tuples(st.just("wait"), st.sampled_from([1.0, BEGIN_S, REMEMBER_S])),
)


class AtLeastOnceTests(SynchronousTestCase):
    @examples(300)
    @given(st.lists(STEPS, max_size=60), st.booleans())
    def test_for_each_acknowledgement_a_command_has_ended_well_and_all_is_acknowledged(
        self, steps: list[tuple], keeps: bool
    ) -> None:
        broker = Broker(Work(BEGIN_S, RETRY_S), keeps=keeps)
        sent: Counter[bytes] = Counter()
        for name, *arguments in steps:
            if name == "wait":
                broker.now += arguments[0]
            else:
                getattr(broker, name)(*arguments)
            if name == "deliver":
                sent.update(arguments[0])
            self.assertLessEqual(broker.acknowledged, broker.done)
        while broker.again or broker.outstanding:
            broker.deliver_again()
            broker.confirm()
            broker.begin()
            broker.end(0, DONE)
            self.assertLessEqual(broker.acknowledged, broker.done)
        self.assertEqual(broker.acknowledged, sent)
