"""Tests for the help texts: every command has examples, and its own parser takes each of them."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb.cli.main import _EPILOG, COMMANDS, module_of

_SHELL_WORDS = {"|", "||", "&&", ";", "<", ">", ">>"}


def examples(text: str) -> list[list[str]]:
    """The words of each example, up to where the shell has its own."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("  wsmb "):
            words = shlex.split(line, comments=True)
            end = next((place for place, word in enumerate(words) if word in _SHELL_WORDS), len(words))
            found.append([word.removesuffix(";") for word in words[1:end]])
    return found


class HelpTests(SynchronousTestCase):
    def parser(self, name: str) -> argparse.ArgumentParser:
        return module_of(name).parser()

    def assert_taken(self, words: list[str]) -> None:
        parser = self.parser(words[0])
        read = getattr(parser, "read", parser.parse_args)
        read(words[1:])

    def test_each_example_of_each_command(self) -> None:
        for name in COMMANDS:
            parser = self.parser(name)
            found = [words for words in examples(parser.epilog or "") if words[0] == name]
            self.assertTrue(found, f"wsmb {name} has no example")
            for words in found:
                self.assert_taken(words)

    def test_each_example_of_all(self) -> None:
        found = examples(_EPILOG)
        self.assertGreaterEqual(len(found), len(COMMANDS) - 1)
        for words in found:
            self.assert_taken(words)

    def test_each_of_the_page_about_the_command_line(self) -> None:
        page = Path(__file__).parents[1] / "docs" / "command-line.md"
        found = examples(re.sub(r"^ {4}(?:\S+ \| )?wsmb ", "  wsmb ", page.read_text(), flags=re.MULTILINE))
        self.assertEqual({words[0] for words in found}, set(COMMANDS))
        for words in found:
            self.assert_taken(words)

    def test_each_says_its_exit_codes(self) -> None:
        for name in COMMANDS:
            self.assertIn("exit codes: 0 ", self.parser(name).format_help())
