"""A tab of a headless Chromium, driven from outside by the Chrome DevTools protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.integration.broker_process import LIMIT_S, poll


class Tab:
    """The first tab of a browser that was started with `--remote-debugging-port=0`."""

    def __init__(self, profile: Path) -> None:
        place = profile / "DevToolsActivePort"
        poll(lambda: place.exists() and place.read_text().count("\n") > 0, "the browser to listen")
        port, path = place.read_text().split("\n")
        self._socket = connect(
            f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None, ping_interval=None
        )
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What has happened, but for answers."""
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def call(self, method: str, **params: Any) -> Any:
        """The answer to a command of the protocol."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(asked | ({"sessionId": self._session} if self._session else {})))
        while True:
            said = json.loads(self._socket.recv(timeout=LIMIT_S))
            if said.get("id") == self._number:
                if "error" in said:
                    raise AssertionError(f"{method}: {said['error']}")
                return said["result"]
            self.events.append(said)

    def run(self, script: str) -> Any:
        """What an expression of JavaScript comes to in the page."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def until(self, script: str) -> None:
        """Return as soon as it comes to something that is true."""
        poll(lambda: bool(self.run(f"Boolean({script})")), script)

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key goes down and up."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def complaints(self) -> list[Any]:
        """Errors that the page has met, and what its policy has kept it from."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown")
        return [event["params"] for event in self.events if event["method"] in kinds]

    def hosts(self) -> set[str]:
        """The hosts that were asked for something."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        urls = [event["params"]["request"]["url"] for event in sent]
        return {url.split("/")[2].rpartition("@")[2] for url in urls if url.startswith(("http", "ws"))}
