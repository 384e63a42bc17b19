"""Each command of each document is run by a test, or there is a reason why not."""

from __future__ import annotations

import re

from twisted.trial.unittest import TestCase

from tests.docs_commands import (
    NOT_RUN,
    OTHER_LANGUAGES,
    ROOT,
    RUN_BY,
    SHELL,
    commands,
    documents,
    languages,
    modules,
    overlooked,
)
from wsmb.cli.main import COMMANDS


class CommandTests(TestCase):
    def test_each_is_run_or_has_a_reason(self) -> None:
        for document in documents():
            patterns = [pattern for name, _, pattern in RUN_BY if name == document]
            patterns += [pattern for name, pattern, _ in NOT_RUN if name == document]
            for line in commands(document):
                found = sum(bool(re.match(pattern, line)) for pattern in patterns)
                self.assertEqual(found, 1, f"{document}: {line} (tests/docs_commands.py)")

    def test_none_is_set_so_that_it_is_overlooked(self) -> None:
        for document in documents():
            self.assertEqual(languages(document) - {*SHELL, *OTHER_LANGUAGES}, set(), document)
            self.assertEqual(overlooked(document), [], document)

    def test_what_is_named_in_passing_is_there(self) -> None:
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for document in documents():
            text = (ROOT / document).read_text()
            for target in re.findall(r"`make ([\w-]+)", text):
                self.assertIn(target, targets, document)
            for name in re.findall(r"`wsmb ([a-z-]+)", text):
                self.assertIn(name, COMMANDS, document)

    def test_each_row_of_the_tables_is_needed(self) -> None:
        rows = [(document, pattern) for document, _, pattern in RUN_BY]
        for document, pattern in [*rows, *((document, pattern) for document, pattern, _ in NOT_RUN)]:
            self.assertTrue(any(re.match(pattern, line) for line in commands(document)), (document, pattern))

    def test_the_tests_are_there(self) -> None:
        for module in modules():
            self.assertTrue((ROOT / (module.replace(".", "/") + ".py")).is_file(), module)
        for _, _, reason in NOT_RUN:
            for module in re.findall(r"tests\.[\w.]+", reason):
                self.assertTrue((ROOT / (module.replace(".", "/") + ".py")).is_file(), module)
