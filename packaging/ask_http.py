"""Ask all of a broker's HTTP side: health, figures, description, the page's files, an item there and back.

`python3 ask_http.py PORT USER:PASSWORD`, on a broker that keeps what nobody receives, prints as JSON what it
was answered; the first that is wrong ends it. It takes nothing but Python: it runs wherever a broker does.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from http.client import HTTPConnection
from typing import Any

LIMIT_S = 20
NAMED = re.compile(r"""(?:src|href|from|import)[= ]"(?:/page|\.)/([^"]+)\"""")
"""A file of the page, where another one names it."""


class Broker:
    """Its HTTP side on this machine."""

    def __init__(self, port: int, credentials: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        self._basic = "Basic " + base64.b64encode(credentials.encode()).decode()

    def ask(self, path: str, *, body: Any = None, with_user: bool = True) -> str:
        """What it answers with 200: to a POST if there is a body. SystemExit for another status."""
        method = "GET" if body is None else "POST"
        headers = {"Authorization": self._basic} if with_user else {}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        said = answer.read().decode()
        if answer.status != 200:
            sys.exit(f"{method} {path}: {answer.status} {said}")
        return said


def page(broker: Broker) -> list[str]:
    """The names of the files that the page is made of, all of which are there."""
    found, new = set[str](), set(NAMED.findall(broker.ask("/")))
    while new:
        found |= new
        new = {name for one in new for name in NAMED.findall(broker.ask(f"/page/{one}"))} - found
    return sorted(found)


def exchange(broker: Broker) -> Any:
    """Send an item, receive and acknowledge it; returns its data."""
    broker.ask("/channels/asked", body="hello")
    (delivery,) = json.loads(broker.ask("/channels/asked?wait=10s&max=1"))["deliveries"]
    broker.ask("/acks", body={"ack": [delivery["id"]]})
    return delivery["data"]


def main(port: str, credentials: str) -> None:
    """See above."""
    broker = Broker(int(port), credentials)
    answers = {
        "health": [json.loads(broker.ask(f"/health/{name}", with_user=False)) for name in ("live", "ready")],
        "paths": len(json.loads(broker.ask("/openapi.json", with_user=False))["paths"]),
        "page": page(broker),
        "figures": len(set(re.findall(r"^(\w+)", broker.ask("/metrics"), re.MULTILINE))),
        "version": json.loads(broker.ask("/admin/overview"))["version"],
        "exchanged": exchange(broker),
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
