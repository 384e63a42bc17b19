"""Tests for `wsmb completion`: what bash completes with it, and that zsh and fish would take it."""

from __future__ import annotations

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from tests.support import need
from wsmb.cli.main import COMMANDS, main

_COMPLETE = """
. /dev/stdin
complete -p wsmb
f=$(complete -p wsmb | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$f" wsmb "${!#}" "${COMP_WORDS[$COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


class CompletionTests(SynchronousTestCase):
    def script(self, shell: str) -> str:
        with redirect_stdout(io.StringIO()) as out:
            self.assertEqual(main(["completion", shell]), 0)
        return out.getvalue()

    def bash(self, *words: str) -> list[str]:
        """What bash offers for the last of the words."""
        need("bash")
        done = subprocess.run(
            ["bash", "--norc", "-c", _COMPLETE, "bash", *words],
            input=self.script("bash"),
            capture_output=True,
            text=True,
            check=True,
        )
        first, *found = done.stdout.splitlines()
        self.assertTrue(first.startswith("complete ") and first.endswith(" wsmb"), first)
        return [word.strip() for word in found]

    def test_commands(self) -> None:
        self.assertLessEqual({*COMMANDS}, set(self.bash("wsmb", "")))
        self.assertEqual(self.bash("wsmb", "rec"), ["receive"])

    def test_options(self) -> None:
        self.assertEqual(self.bash("wsmb", "receive", "--ex"), ["--exec"])
        self.assertEqual(self.bash("wsmb", "check-config", "--conf"), ["--config"])
        self.assertIn("--help", self.bash("wsmb", "send", "--"))
        self.assertNotIn("--exec", self.bash("wsmb", "send", "--"))

    def test_other_shells(self) -> None:
        self.assertTrue(self.script("zsh").startswith("#compdef wsmb"))
        self.assertIn("complete -c wsmb", self.script("fish"))

    def test_unknown_shell(self) -> None:
        with redirect_stderr(io.StringIO()) as err:
            self.assertEqual(main(["completion", "nosuch"]), 2)
        self.assertIn("bash", err.getvalue())
