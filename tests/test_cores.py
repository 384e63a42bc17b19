"""Tests for wsmb.cores."""

from twisted.trial.unittest import SynchronousTestCase

from wsmb.cores import passwords_at_once


class PasswordsTests(SynchronousTestCase):
    def test_one_core_is_left_where_there_are_many(self) -> None:
        counts = [passwords_at_once(cores) for cores in (1, 2, 3, 4, 9, 64)]
        self.assertEqual(counts, [2, 2, 2, 3, 8, 8])
