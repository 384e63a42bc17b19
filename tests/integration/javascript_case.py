"""The vocabulary of the tests of what is written in JavaScript: Node, Chromium, and a web site for them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, LIMIT_S, TIED
from tests.support import need, skipped

PROGRAMS = CHECKOUT / "tests" / "javascript"
PACKAGES = Path("/usr/share/nodejs")
"""Where Debian has the packages of Node."""
CHROMIUM = (
    "chromium",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Site:
    """A web site of the checkout's files on 127.0.0.1, and where pages and programs find the test.

    `POST /report` tells the test what has come out. `POST /do/NAME` calls what `actions` has under this
    name, in the test's own thread: a broker that another one has started would end with that thread.
    """

    def __init__(self) -> None:
        self.actions: dict[str, Callable[[], object]] = {}
        self.inbox: Queue[Asked | Report] = Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Request, self.inbox))
        self.port = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def report(self, timeout_s: float = LIMIT_S) -> Any:
        """The next report. Until it comes, do what is asked for."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                said = self.inbox.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                raise TimeoutError("no report has come") from None
            if isinstance(said, Report):
                return said.value
            self.actions[said.name]()
            said.done.set()

    def close(self) -> None:
        """Serve no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Asked:
    """Somebody wants an action, and waits for `done`."""

    name: str
    done: Event = field(default_factory=Event)


@dataclass(frozen=True)
class Report:
    """What a page or a program has found out."""

    value: Any


class _Request(SimpleHTTPRequestHandler):
    def __init__(self, inbox: Queue[Asked | Report], *args: Any) -> None:
        self._inbox = inbox
        super().__init__(*args, directory=str(CHECKOUT))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/report":
            self._inbox.put(Report(json.loads(body)))
        else:
            asked = Asked(self.path.removeprefix("/do/"))
            self._inbox.put(asked)
            asked.done.wait(LIMIT_S)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class JavascriptCase(BrokerCase):
    """Starts programs and pages."""

    def site(self) -> Site:
        """A site that ends with the test."""
        site = Site()
        self.addCleanup(site.close)
        return site

    def start_node(self, site: Site, program: Path, told: Mapping[str, Any]) -> None:
        """Start a program, which makes a report. If it fails, what it has said is the report."""
        process = self._node(program, json.dumps({**told, "site": site.origin}))

        def wait() -> None:
            output, _ = process.communicate()
            if process.returncode:
                site.inbox.put(Report({"failed": {program.name: output.decode()}}))

        Thread(target=wait, daemon=True).start()

    def run_node(self, program: Path) -> str:
        """What a program prints."""
        process = self._node(program)
        output, _ = process.communicate(timeout=LIMIT_S)
        if process.returncode:
            self.fail(output.decode())
        return output.decode()

    def _node(self, program: Path, *arguments: str) -> subprocess.Popen[bytes]:
        need("node")
        if not (PACKAGES / "ws").exists():
            raise skipped("the package ws (Debian: node-ws) is not installed")
        process = subprocess.Popen(
            [*TIED, "node", str(program), *arguments],
            env={**os.environ, "NODE_PATH": str(PACKAGES)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.addCleanup(_end, process)
        return process

    def browse(self, url: str, *flags: str) -> Path:
        """Open a page in a browser of its own, which ends with the test: its profile's folder."""
        need("chromium")
        folder = self.folder()
        with (folder / "log").open("wb") as log:
            browser = subprocess.Popen(
                [*TIED, *CHROMIUM, f"--user-data-dir={folder / 'profile'}", *flags, url],
                env={**os.environ, "HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.addCleanup(_end, browser)
        return folder / "profile"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(LIMIT_S)
