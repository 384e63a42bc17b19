"""Tests for wsmb.message_ids: keys that are in databases must not change."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsmb.message_ids import key_of


class KeyTests(SynchronousTestCase):
    def test_as_it_is_in_databases(self) -> None:
        self.assertEqual(key_of("qa", "sm\xe9", "order 1").hex(), "f717ad71966039ac65f665784f611341")
        self.assertEqual(key_of("\ud800", "sms", "1").hex(), "0873c05f8c8a4ed523dfd33812bbf83a")

    def test_no_part_runs_into_the_next(self) -> None:
        parts = (("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("1:a", "b", "c"))
        self.assertEqual(len({key_of(*three) for three in parts}), len(parts))
