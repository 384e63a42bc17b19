"""docs/guarantees.md names the tests that show what it says: they are there."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

CHECKOUT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"`(test_\w+)`\s+in\s+`(tests/[\w/]+\.py)`")


class GuaranteesTests(SynchronousTestCase):
    def test_the_named_tests_are_there(self) -> None:
        document = (CHECKOUT / "docs" / "guarantees.md").read_text()
        named = NAMED.findall(document)
        self.assertEqual(len(named), document.count("`test_"))
        for test, file in named:
            self.assertIn(f"def {test}(", (CHECKOUT / file).read_text(), file)
