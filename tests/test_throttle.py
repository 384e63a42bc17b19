"""Tests for wsmb.throttle."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.settings import Limits
from wsmb.throttle import WINDOW_S, Throttle

LIMITS = Limits(max_failures=3, max_failures_per_address=6, max_failures_per_user=10)


class ThrottleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.throttle = Throttle(LIMITS)

    def fail(self, times: int, address: str = "a", user: str = "qa", now_s: float = 0.0) -> None:
        for _ in range(times):
            self.throttle.failed(address, user, now_s)

    def wait_s(self, address: str = "a", user: str = "qa", now_s: float = 0.0) -> float:
        return self.throttle.wait_s(address, user, now_s)

    def test_other_limits_forget_nobody(self) -> None:
        self.fail(2)
        self.throttle.use(Limits(max_failures=2, max_failures_per_address=6, max_failures_per_user=10))
        self.assertGreater(self.wait_s(), 0)

    def test_one_address_as_one_user(self) -> None:
        self.fail(2)
        self.assertEqual(self.wait_s(), 0)
        self.fail(1)
        self.assertEqual(self.wait_s(), WINDOW_S / 3)
        self.assertEqual((self.wait_s(user="other"), self.wait_s("b")), (0, 0))

    def test_one_further_failure_for_each_that_is_forgotten(self) -> None:
        self.fail(3)
        self.assertAlmostEqual(self.wait_s(now_s=5), WINDOW_S / 3 - 5)
        self.assertEqual(self.wait_s(now_s=WINDOW_S / 3), 0)
        self.fail(1, now_s=WINDOW_S / 3)
        self.assertAlmostEqual(self.wait_s(now_s=WINDOW_S / 3), WINDOW_S / 3)

    def test_however_many_have_failed_the_wait_is_no_longer(self) -> None:
        self.throttle = Throttle(Limits(max_failures=3, max_failures_per_user=10_000))
        self.fail(1_000)
        self.assertAlmostEqual(self.wait_s(), WINDOW_S / 3)

    def test_one_address_as_any_user(self) -> None:
        for number in range(5):
            self.fail(1, user=f"user{number}")
        self.assertEqual(self.wait_s(), 0)
        self.fail(1, user="user5")
        self.assertEqual(self.wait_s(), WINDOW_S / 6)
        self.assertEqual(self.wait_s("b"), 0)

    def test_a_user_at_whom_many_guess_is_not_shut_out(self) -> None:
        for number in range(10):
            self.fail(1, f"address{number}")
        self.assertEqual(self.wait_s("fresh"), 0)
        self.fail(1, "fresh")
        self.assertGreater(self.wait_s("fresh"), 0)
        self.assertEqual(self.wait_s("fresh", "other"), 0)

    def test_before_that_an_address_has_several_tries(self) -> None:
        for number in range(8):
            self.fail(1, f"address{number}")
        self.fail(1, "fresh")
        self.assertEqual(self.wait_s("fresh"), 0)

    def test_the_table_is_bounded_and_forgets_the_oldest(self) -> None:
        self.throttle = Throttle(LIMITS, max_entries=10)
        self.fail(3, "first")
        for number in range(9):
            self.fail(3, f"address{number}")
        self.fail(3, "first")
        self.fail(3, "last")
        self.assertEqual(len(self.throttle), 10)
        self.assertEqual((self.wait_s("address0"), self.wait_s("address1") > 0), (0, True))
        self.assertGreater(self.wait_s("first"), 0)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.floats(0, 30)), max_size=60))
    def test_whatever_others_do_an_address_waits_for_its_own_failures_only(
        self, failures: list[tuple[str, str, float]]
    ) -> None:
        throttle, now_s = Throttle(LIMITS), 0.0
        for address, user, pause_s in failures:
            now_s += pause_s
            throttle.failed(address, user, now_s)
            self.assertEqual(throttle.wait_s("fresh", user, now_s), 0)
            self.assertLessEqual(throttle.wait_s(address, user, now_s), WINDOW_S)
            self.assertEqual(throttle.wait_s(address, user, now_s + 2 * WINDOW_S), 0)
