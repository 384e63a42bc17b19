"""Tests for wsmb.rates: what may come in a second, and for how long who sent too much has to wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.frames import ALL
from wsmb.rates import Bucket, UserRates
from wsmb.settings import Limits


class BucketTests(SynchronousTestCase):
    def test_one_second_of_it_may_come_at_once(self) -> None:
        bucket = Bucket(10, 0.0)
        self.assertTrue(all(bucket.take(1, 0.0) for _ in range(9)))
        self.assertFalse(bucket.take(1, 0.0))

    def test_it_fills_at_its_rate_and_no_higher(self) -> None:
        bucket = Bucket(10, 0.0)
        bucket.take(10, 0.0)
        self.assertFalse(bucket.has_recovered(0.4))
        self.assertTrue(bucket.has_recovered(0.5))
        self.assertFalse(bucket.is_full(0.9))
        self.assertTrue(bucket.is_full(1.0))
        self.assertFalse(bucket.take(10, 100.0))

    def test_a_debt_is_filled_up_first(self) -> None:
        bucket = Bucket(10, 0.0)
        self.assertFalse(bucket.take(40, 0.0))
        self.assertFalse(bucket.has_recovered(3.4))
        self.assertTrue(bucket.has_recovered(3.5))

    @given(
        st.integers(1, 1_000),
        st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5_000)), max_size=30),
    )
    def test_whoever_waits_sends_no_more_than_the_rate(self, rate: int, chunks: list) -> None:
        """Of chunks that come when they may: without the last, the time's worth and one second's at most."""
        bucket, now_s, sent = Bucket(rate, 0.0), 0.0, 0
        for pause_s, size in chunks:
            now_s += pause_s
            self.assertLessEqual(sent, rate * (now_s + 1) + 1e-3)
            open_ = bucket.take(size, now_s)
            sent += size
            while not open_ and not bucket.has_recovered(now_s):
                now_s += 0.1

    @given(st.integers(1, 1_000), st.floats(0, 10), st.integers(0, 3_000))
    def test_what_is_left_can_be_taken_and_no_more_may_come_then(
        self, rate: int, now_s: float, first: int
    ) -> None:
        bucket = Bucket(rate, 0.0)
        bucket.take(first, 0.0)
        left = bucket.left(now_s)
        self.assertEqual(left > 1 and not bucket.take(left - 1, now_s), False)
        if left:
            self.assertFalse(bucket.take(1, now_s))
        self.assertEqual(bucket.left(now_s), 0)


class UserRatesTests(SynchronousTestCase):
    def test_frames_that_are_left(self) -> None:
        rates = UserRates(Limits(max_frames_per_second=5, max_bytes_per_second=100))
        rates.take("qa", 2, 10, 0.0)
        self.assertEqual((rates.frames_left("qa", 0.0), rates.frames_left("new", 0.0)), (3, 5))
        rates.take("qa", 0, 90, 0.0)
        self.assertEqual(rates.frames_left("qa", 0.0), 0)
        rates.use(Limits(max_bytes_per_second=100))
        self.assertEqual(rates.frames_left("qa", 0.0), ALL)

    def test_without_limits_there_is_nothing_to_count(self) -> None:
        self.assertFalse(UserRates(Limits()).is_limited)
        for limits in (Limits(max_frames_per_second=1), Limits(max_bytes_per_second=1)):
            self.assertTrue(UserRates(limits).is_limited)

    def test_frames(self) -> None:
        rates = UserRates(Limits(max_frames_per_second=3))
        self.assertTrue(rates.take("qa", 2, 1 << 40, 0.0))
        self.assertFalse(rates.take("qa", 1, 0, 0.0))
        self.assertFalse(rates.may_go_on("qa", 0.1))
        self.assertTrue(rates.may_go_on("qa", 0.6))

    def test_bytes(self) -> None:
        rates = UserRates(Limits(max_bytes_per_second=1_000))
        self.assertTrue(rates.take("qa", 1_000_000, 999, 0.0))
        self.assertFalse(rates.take("qa", 0, 1, 0.0))

    def test_both(self) -> None:
        rates = UserRates(Limits(max_frames_per_second=10, max_bytes_per_second=10))
        self.assertFalse(rates.take("qa", 1, 10, 0.0))
        self.assertFalse(rates.take("other", 10, 1, 0.0))
        self.assertFalse(rates.may_go_on("qa", 0.1) or rates.may_go_on("other", 0.1))

    def test_each_user_has_its_own(self) -> None:
        rates = UserRates(Limits(max_frames_per_second=2))
        self.assertFalse(rates.take("flood", 1_000, 0, 0.0))
        self.assertTrue(rates.take("qa", 1, 0, 0.0))

    def test_who_has_not_sent_for_a_while_is_forgotten_and_who_has_is_not(self) -> None:
        rates = UserRates(Limits(max_frames_per_second=2, max_bytes_per_second=2))
        rates.take("gone", 1, 1, 0.0)
        rates.take("here", 5, 1, 0.0)
        rates.forget_full(1.0)
        self.assertEqual(list(rates._buckets), ["here"])
        self.assertFalse(rates.may_go_on("here", 1.0))

    def test_other_limits_begin_anew(self) -> None:
        rates = UserRates(Limits(max_frames_per_second=1))
        rates.take("qa", 100, 0, 0.0)
        rates.use(Limits(max_frames_per_second=2))
        self.assertTrue(rates.may_go_on("qa", 0.0))
        rates.use(Limits())
        self.assertFalse(rates.is_limited)
