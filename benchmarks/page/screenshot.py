"""The picture of the page for the README, under load."""

from __future__ import annotations

import base64
import time
from itertools import count
from pathlib import Path
from threading import Thread

from benchmarks.page.crowd import WAITING, Crowd, crowd
from benchmarks.page.viewers import Browser, viewer

SECONDS = 40.0
"""The load goes on for so long; then the charts have something to show."""
RATES = (20_000.0, 35_000.0)
"""Messages a second: first the one, then the other."""
KEPT_PER_S = 100
PHONE_WIDTH = 600


def keep(there: Crowd) -> None:
    """Something waits on ever more channels, and on all of them well before the end."""
    began = time.monotonic()
    for number in count():
        passed_s = time.monotonic() - began
        if passed_s > SECONDS:
            return
        there.let_wait([number], min(1 + int(2 * WAITING * passed_s / SECONDS), WAITING))
        time.sleep(1 / KEPT_PER_S)


def screenshot(folder: Path, file: Path, width: int, height: int, *, is_dark: bool) -> None:
    """Make it. RuntimeError where there is no Chromium."""
    with crowd(folder) as there, viewer(folder, there.http_port) as who:
        if not isinstance(who, Browser):
            raise RuntimeError("there is no Chromium to make the picture")
        load = Thread(target=lambda: [there.round(SECONDS / len(RATES), rate) for rate in RATES])
        keeping = Thread(target=keep, args=(there,))
        load.start()
        keeping.start()
        mode = "dark" if is_dark else "light"
        who.tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
        who.tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < PHONE_WIDTH,
        )
        who.tab.call("Emulation.setScrollbarsHidden", hidden=True)
        who.open()
        time.sleep(SECONDS - 3)
        data = who.tab.call("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(data))
        load.join()
        keeping.join()
