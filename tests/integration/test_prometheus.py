"""A Prometheus server scrapes a broker, and the queries of the dashboard in examples/ answer."""

from __future__ import annotations

import http.client
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.integration.broker_process import CHECKOUT, LIMIT_S, PASSWORD, TIED, USER, free_port, poll
from tests.integration.raw_client import basic
from tests.integration.test_http import HttpCase
from tests.support import need

EXAMPLES = CHECKOUT / "examples" / "grafana"
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m"}
NEEDED = ("prometheus", "promtool")


class Prometheus:
    """A server that asks every 0.2 s."""

    def __init__(self, folder: Path, target: int) -> None:
        self._port = free_port()
        password = folder / "password"
        password.write_text(PASSWORD)
        text = (EXAMPLES / "prometheus.yml").read_text()
        for old, new in (
            ("127.0.0.1:8889", f"127.0.0.1:{target}"),
            ("username: prometheus", f"username: {USER}"),
            ("/etc/prometheus/wsmb.password", str(password)),
            ("scrape_interval: 10s", "scrape_interval: 200ms\n    scrape_timeout: 200ms"),
        ):
            if old not in text:
                raise AssertionError(f"prometheus.yml has no {old}")
            text = text.replace(old, new)
        config = folder / "prometheus.yml"
        config.write_text(text)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *TIED,
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def query(self, text: str) -> Any:
        """Its result: None while it does not answer. AssertionError if it is no query."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)
        try:
            connection.request("GET", "/api/v1/query?" + urlencode({"query": text}))
            answer = connection.getresponse()
            body = answer.read()
        except OSError:
            return None
        finally:
            connection.close()
        if answer.status == http.client.SERVICE_UNAVAILABLE:  # it starts
            return None
        found = json.loads(body)
        if found["status"] != "success":
            raise AssertionError(f"{text}: {found['error']}")
        return found["data"]["result"]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(LIMIT_S)


_METRIC = re.compile(r"\b(?:wsmb_\w+|process_\w+|up)\b")


def queries() -> list[str]:
    """Of all panels, as Grafana would send them."""
    dashboard = json.loads((EXAMPLES / "wsmb.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for name, value in VARIABLES.items():
        found = [text.replace(name, value) for text in found]
    return found


def renamed(text: str) -> Iterator[str]:
    """The query, as if one of its metrics had another name."""
    for found in _METRIC.finditer(text):
        yield f"{text[: found.end()]}_renamed{text[found.end() :]}"


class PrometheusTests(HttpCase):
    def has_numbers(self, server: Prometheus, text: str) -> bool:
        """Whether there is an answer, while the broker has something to do."""
        self.assertEqual(self.ask("POST", "/channels/sms", [1])[0], 200)
        found = server.query(text)
        return bool(found) and all(math.isfinite(float(one["value"][1])) for one in found)

    def test_each_query_of_the_dashboard_has_an_answer(self) -> None:
        need(*NEEDED)
        folder = self.folder()
        self.http_broker(
            f"[events]\nwebhook[] = http://127.0.0.1:{free_port()}/\n",
            database=f"sqlite:///{folder}/db",
            keep_data="true",
            extra_environment={"WSMB_WEBHOOK_SECRET": "whsec_" + "x" * 32},
        )
        server = Prometheus(folder, self.http_port)
        self.addCleanup(server.stop)
        poll(lambda: server.query('up{job="wsmb"} == 1'), "the first scrape")
        for text in queries():
            self.assertNotIn("$", text)
            poll(lambda text=text: self.has_numbers(server, text), f"numbers for {text}")
            without = list(renamed(text))
            self.assertNotEqual(without, [])
            for other in without:
                self.assertEqual(server.query(other), [], other)
        self.look_at_form()

    def look_at_form(self) -> None:
        """Of names, types and texts, by Prometheus' own tool."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics", headers={"Authorization": basic()})
        text = connection.getresponse().read()
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=LIMIT_S, check=False
        )
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))
