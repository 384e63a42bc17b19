"""The documents' commands that install something, by their very lines: in a clean copy of the checkout, in
virtual environments of its own, and the Debian package in a scratch root with a systemd.

Not among the tests that `make test` runs, for it takes minutes: `make docs-test` runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from twisted.trial.unittest import SynchronousTestCase

from tests import docs_commands
from tests.docs_commands import ROOT
from tests.integration.broker_process import PASSWORD, USER, answers, environment, free_port, listens, poll
from tests.integration.raw_client import RawClient, basic, connect, opening
from tests.support import need, skipped

PIP_S = 400
_LEFT_OUT = shutil.ignore_patterns(".*", "_trial_temp*", "build", "dist", "run", "*.egg-info", "__pycache__")
_MAKES = re.compile("^(MAKE|MFLAGS|WSMB_|PYTHONPATH|VIRTUAL_ENV)")


class PackageCase(SynchronousTestCase):
    document = ""

    def setUp(self) -> None:
        self.left = docs_commands.run_by(self.document, __name__)
        self.environ = {name: value for name, value in environment().items() if not _MAKES.match(name)}

    def line(self, beginning: str) -> str:
        """The next line that begins so."""
        line = next(line for line in self.left if line.startswith(beginning))
        self.left.remove(line)
        return line

    def copy(self) -> Path:
        """A new copy of the checkout, without what was made there."""
        folder = Path(tempfile.mkdtemp(prefix="wsmb-copy-"))
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(ROOT, folder / "wsmb", ignore=_LEFT_OUT)
        return folder / "wsmb"

    def start(
        self, line: str, here: Path, output: IO[str] | int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=here,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """As Ctrl-C does: to all that the line has started."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PIP_S)

    def run_line(self, line: str, here: Path) -> str:
        """What it prints; it has to end well."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=here,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PIP_S,
            check=False,
        )
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout

    def use_new_venv(self, here: Path, name: str) -> None:
        """From now on `pip` is that of a new virtual environment."""
        self.run_line(f"{sys.executable} -m venv {name}", here)
        self.environ["PATH"] = f"{here / name / 'bin'}:{os.environ['PATH']}"


class NewcomerTests(PackageCase):
    document = "README.md"

    def test_a_running_broker(self) -> None:
        """And the page of examples/browser, whose README begins with the same broker."""
        here, port = self.copy(), free_port()
        run, *others = self.left
        self.assertEqual(docs_commands.run_by("CONTRIBUTING.md", __name__)[0].partition("#")[0].strip(), run)
        broker = self.serve(f"{run} RUN_PORT={port}", here, port)
        said = (here / "said").read_text()
        export, receive, send = (line.replace("8888", str(port)) for line in others)
        for line in (export, receive, send):
            self.assertIn(f"  {line}\n", said)
        self.run_line(f"{export}; {send}", here)
        got = self.run_line(f"{export}; {receive} --count 1", here)
        self.assertEqual(got, '{"receiver":"0812","message":"hello"}\n')
        self.end(broker)
        self.page(here)

    def serve(self, line: str, here: Path, port: int) -> subprocess.Popen[str]:
        with (here / "said").open("w") as said:
            process = self.start(line, here, said)
        for _ in range(PIP_S // 30):
            try:
                poll(lambda: process.poll() is not None or answers(port), line)
                break
            except TimeoutError:
                continue
        self.assertIsNone(process.poll(), (here / "said").read_text())
        return process

    def page(self, here: Path) -> None:
        pages, run = docs_commands.run_by("examples/browser/README.md", __name__)
        site, port = free_port(), free_port()
        self.start(pages.replace("8000", str(site)), here)
        poll(lambda: listens(site), pages)
        self.assertIn("wsmb", self.run_line(f"curl -sf http://127.0.0.1:{site}/examples/browser/", here))
        self.end(self.serve_page(f"{run.replace('8000', str(site))} RUN_PORT={port}", here, port, site))

    def serve_page(self, line: str, here: Path, port: int, site: int) -> subprocess.Popen[str]:
        process = self.serve(line, here, port)
        for origin, status in ((f"http://127.0.0.1:{site}", 101), ("http://127.0.0.1:1", 403)):
            request = opening(headers=(f"Origin: {origin}",), authorization=basic(USER, PASSWORD))
            client = RawClient(connect(port), request)
            self.addCleanup(client.close)
            self.assertEqual(client.status, status, origin)
        return process


class PipTests(PackageCase):
    document = "docs/python-client.md"

    def test_all(self) -> None:
        here = self.copy()
        self.use_new_venv(here, "with-broker")
        install = self.line("pip install .").partition("#")[0].strip()
        self.assertIn(install, docs_commands.run_by("docs/operations.md", __name__))
        self.run_line(install, here)
        self.run_line("wsmb --version && twistd --help | grep wsmb", here.parent)
        self.run_line(
            'python -c "from wsmb.client import BlockingClient, Client, TwistedClient"', here.parent
        )
        self.use_new_venv(here, "client-alone")
        self.run_line(self.line("make wheels"), here)
        self.run_line('python -c "from wsmb.client import BlockingClient, Client"', here.parent)
        self.run_line("! python -c 'import twisted'", here.parent)
        self.run_line(self.line("pip install"), here)
        self.run_line('python -c "from wsmb.client import TwistedClient"', here.parent)
        self.assertEqual(self.left, [])


class DebianTests(PackageCase):
    document = "docs/operations.md"

    def test_all(self) -> None:
        need("apt-get", "dpkg-deb", "nsenter")
        if os.geteuid() != 0:
            raise skipped("a scratch root takes root")
        self.run_line(self.line("make deb"), ROOT)
        self.run_line("make build/scratch-root", ROOT)
        install, ping = self.line("apt install"), self.line("WSMB_USER=wsmb")
        self.assertEqual([line for line in self.left if line != "pip install ."], [])
        package = ROOT / install.split()[-1]
        scratch = self.scratch([package])
        # As if one stood in the checkout.
        scratch.run("ln", "-s", "/debs", "/debs/dist")
        scratch.run("sh", "-c", f"cd /debs && {install}")
        self.assertRegex(scratch.run("sh", "-c", f"timeout 60 sh -c '{ping}'"), r"^(20.*Z)?$")

    def scratch(self, packages: Sequence[Path]) -> Any:
        sys.path.insert(0, str(ROOT / "packaging" / "debian" / "scratch"))
        self.addCleanup(sys.path.pop, 0)
        from scratch_root import Scratch  # noqa: PLC0415  # type: ignore[import-not-found]

        folder = Path(tempfile.mkdtemp(prefix="wsmb-scratch-"))
        self.addCleanup(shutil.rmtree, folder)
        scratch = Scratch(ROOT / "build" / "scratch-root", folder, packages)
        self.addCleanup(scratch.end)
        return scratch
