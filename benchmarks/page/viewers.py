"""Who looks at the page: a headless Chromium, or a program that asks for what the page asks for."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

from benchmarks.servers import LOAD_CORE, on_core
from tests.integration.broker_process import PASSWORD, TIED, USER
from tests.integration.browser import Tab
from tests.integration.javascript_case import CHROMIUM
from tests.integration.raw_client import basic
from wsmb.http.page_files import FILES

EVERY_S = 1.0
LETTERS_EVERY = 5
"""As in page.js."""
ASKED = (
    "/admin/overview",
    "/admin/channels?sort=waiting&start=0&max=25",
    "/admin/connections?sort=newest&start=0&max=25",
)
LETTERS = "/admin/channels?find=dead.&max=20"
_BEFORE_OTHERS = ("chrt", "--rr", "1") if os.geteuid() == 0 and shutil.which("chrt") else ()
"""The browser, too, so that it is not other programs that it waits for."""
# When both tables have their rows, and when each update was through; in milliseconds since the navigation.
_WATCH = """
window.filled = null;
window.updates = [];
new MutationObserver(() => {
  const rows = (id) => document.querySelector(`#${id} tbody tr`);
  if (window.filled === null && rows("channels") && rows("connections")) window.filled = performance.now();
  const rounds = Number(document.body?.dataset.rounds ?? 0);
  if (rounds > window.updates.length) window.updates.push(performance.now());
}).observe(document, { subtree: true, childList: true, attributeFilter: ["data-rounds"] });
"""


class Visit(NamedTuple):
    """How it was to look."""

    filled_s: float
    """From the navigation until both tables had their rows."""
    every_s: Sequence[float]
    """Between two updates."""


class Viewer(Protocol):
    """Somebody who opens the page and leaves it again."""

    name: str

    def open(self) -> None:
        """Navigate to it."""

    def close(self) -> Visit:
        """Leave it."""


class Browser:
    """A visible tab, as far as the page can see."""

    name = "headless Chromium"

    def __init__(self, tab: Tab, port: int) -> None:
        self.tab = tab
        self._url = f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/"
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)

    def open(self) -> None:
        """See Viewer."""
        self.tab.call("Page.navigate", url=self._url)

    def close(self) -> Visit:
        """See Viewer."""
        self.tab.until("window.filled")
        filled, at = self.tab.run("[window.filled, window.updates]")
        self.tab.call("Page.navigate", url="about:blank")
        self.tab.events.clear()
        return Visit(filled / 1e3, [(after - before) / 1e3 for before, after in pairwise(at)])


class Program:
    """What asks where there is no browser."""

    name = "a program that asks for the same"

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._at: list[float] = []
        self._filled_s = 0.0

    def open(self) -> None:
        """See Viewer."""
        self._at = []
        self._is_over.clear()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> Visit:
        """See Viewer."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
        return Visit(self._filled_s, [after - before for before, after in pairwise(self._at)])

    def update(self) -> None:
        """Ask once for what the page asks for."""
        for path in ASKED:
            self._ask(path)

    def _look(self) -> None:
        began = time.perf_counter()
        for path in (
            "/",
            *(f"/page/{name}" for name in FILES if name not in ("index.html", "uPlot.LICENSE")),
        ):
            self._ask(path)
        self._update(0)
        self._filled_s = time.perf_counter() - began
        number = 0
        while not self._is_over.wait(EVERY_S - (time.perf_counter() - self._at[-1])):
            number += 1
            self._update(number)

    def _update(self, number: int) -> None:
        self._at.append(time.perf_counter())
        for path in (*ASKED, *([] if number % LETTERS_EVERY else [LETTERS])):
            self._ask(path)

    def _ask(self, path: str) -> None:
        self._connection.request("GET", path, headers={"Authorization": basic()})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status}")


@contextmanager
def viewer(folder: Path, port: int) -> Iterator[Browser | Program]:
    """Chromium if it is installed, on LOAD_CORE; it ends in the end."""
    if shutil.which(CHROMIUM[0]) is None:
        yield Program(port)
        return
    with (folder / "browser.log").open("wb") as log, on_core(LOAD_CORE):
        profile = folder / "profile"
        process = subprocess.Popen(
            [
                *TIED,
                *_BEFORE_OTHERS,
                *CHROMIUM,
                f"--user-data-dir={profile}",
                "--remote-debugging-port=0",
                "about:blank",
            ],
            env={**os.environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        tab = Tab(profile)
        yield Browser(tab, port)
        tab.close()
    finally:
        process.kill()
        process.wait(30)
