"""Tests for wsmb.open_files."""

import resource

from twisted.trial.unittest import SynchronousTestCase

from wsmb.open_files import RESERVED, most_of, sockets, warning


class OpenFilesTests(SynchronousTestCase):
    def test_some_are_kept_for_all_else(self) -> None:
        self.assertEqual(sockets(1_024), 1_024 - RESERVED)
        self.assertEqual(sockets(80), 40)

    def test_warning_at_one_too_few(self) -> None:
        self.assertEqual(warning(1_000 + RESERVED, 1_000), "")
        text = warning(999 + RESERVED, 1_000)
        self.assertIn("no more than 999 connections of the 1000", text)
        self.assertIn(f"LimitNOFILE={1_000 + RESERVED}", text)

    def test_unlimited(self) -> None:
        self.assertEqual(warning(most_of(resource.RLIM_INFINITY), 1_000_000), "")
