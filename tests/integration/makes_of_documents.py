"""The documents' commands for who works on wsmb, by their very lines, but for how long they take.

Not among the tests that `make test` runs: `make docs-test` runs it.
"""

from __future__ import annotations

import re
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests import docs_commands
from tests.docs_commands import ROOT
from tests.integration.broker_process import environment

MOST_S = 300
SHORTER = (("KILLS=200", "KILLS=1"), ("'1 to 100, 64'", "'1 to 10, 64' BENCH_JSON=build/docs-test.json"))


class MakeTests(SynchronousTestCase):
    def run_all(self, document: str, more: str = "") -> list[str]:
        """What the commands of the document print."""
        return [self.run_line(line, more) for line in docs_commands.run_by(document, __name__)]

    def run_line(self, line: str, more: str) -> str:
        line = line.partition("#")[0].rstrip()
        for text, shorter in SHORTER:
            line = line.replace(text, shorter)
        if more and "KILLS" not in line:
            line = f"{line} {more}"
        environ = {name: value for name, value in environment().items() if not re.match("MAKE|MFLAGS", name)}
        done = subprocess.run(
            ["bash", "-c", line.replace(".venv/bin/python", sys.executable)],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MOST_S,
            check=False,
        )
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_one_test_file_and_one_test(self) -> None:
        of_file, of_test = self.run_all("CONTRIBUTING.md")
        self.assertRegex(of_file, r"PASSED \(successes=\d{2,}\)")
        self.assertIn("PASSED (successes=1)", of_test)

    def test_chaos(self) -> None:
        everything, power, again = self.run_all("docs/chaos.md", "FOR=12s")
        self.assertIn("power-sqlite", power)
        self.assertIn("seed 7", again)
        for name in ("broker-sqlite", "mixed", "network"):
            self.assertIn(name, everything)

    def test_one_case_of_the_benchmark(self) -> None:
        (table,) = self.run_all("docs/performance.md")
        self.assertIn("1 to 10", table)
