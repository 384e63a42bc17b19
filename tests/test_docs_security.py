"""docs/security.md names the files of tests that try what it says: they are there."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TESTS = Path(__file__).resolve().parent
NAMED = re.compile(r"`((?:integration/|contracts/)?\w*(?:test|contract)\w*|corpus/)`")


class DefendedTests(SynchronousTestCase):
    def test_the_named_files_are_there(self) -> None:
        document = (TESTS.parent / "docs" / "security.md").read_text()
        rows = document.partition("\n| --- | --- | --- | --- |\n")[2].partition("\n\n")[0].splitlines()
        for row in rows:
            named = NAMED.findall(row.split("|")[4])
            self.assertNotEqual(named, [], row)
            for name in named:
                self.assertTrue((TESTS / name).is_dir() or (TESTS / f"{name}.py").exists(), name)
