"""The JavaScript client without a broker: its own tests, run by Node, and its type declarations."""

from __future__ import annotations

import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.javascript_case import PROGRAMS
from tests.support import need

LIMIT_S = 60


class JavascriptTests(SynchronousTestCase):
    def run_tool(self, *command: str) -> str:
        """What it prints; it has to succeed."""
        need(command[0])
        finished = subprocess.run(
            command,
            cwd=PROGRAMS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if finished.returncode:
            self.fail(finished.stdout)
        return finished.stdout

    def test_its_own_tests(self) -> None:
        files = sorted(str(file) for file in PROGRAMS.glob("*.test.mjs"))
        output = self.run_tool("node", "--test", *files)
        self.assertRegex(output, r"(?m)^. pass [1-9]\d+$")
        self.assertRegex(output, r"(?m)^. skipped 0$")

    def test_the_type_declarations(self) -> None:
        language = "--target es2022 --module es2022 --moduleResolution node --lib es2022,dom"
        self.run_tool("tsc", "--noEmit", "--strict", "--skipDefaultLibCheck", *language.split(), "types.ts")
