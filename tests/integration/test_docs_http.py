"""docs/http.md says what is so: each of its commands is run, and has the output that is shown."""

from __future__ import annotations

import http.client
import json
import re
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from tests import docs_commands
from tests.integration.broker_process import CHECKOUT
from tests.integration.raw_client import basic
from tests.integration.test_http import LIMIT_S, HttpCase
from tests.support import need
from wsmb.errors import Code
from wsmb.http.call import STATUSES

DOCUMENT = (CHECKOUT / "docs" / "http.md").read_text()
TIME_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z")
DELIVERY = re.compile(r"[\w-]{12}\.\d+")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


class DocumentTests(HttpCase):
    def test_the_commands(self) -> None:
        need("curl")
        broker = self.http_broker(database="memory:", keep_data="true")
        names: dict[str, str] = {}
        steps = 0
        for block in blocks("sh"):
            for step in block.split("$ ")[1:]:
                command, _, expected = step.partition("\n")
                command = DELIVERY.sub(lambda match: names.get(match[0], match[0]), command)
                self.assertIn("curl", command)
                done = subprocess.run(
                    ["sh", "-c", command.replace(":8889", f":{self.http_port}")],
                    cwd=broker.folder,
                    capture_output=True,
                    text=True,
                    timeout=LIMIT_S,
                    check=True,
                )
                names.update(zip(DELIVERY.findall(expected), DELIVERY.findall(done.stdout), strict=True))
                self.assertEqual(self.fixed(done.stdout), self.fixed(expected), command)
                steps += 1
        self.assertEqual(steps, len(docs_commands.run_by("docs/http.md", __name__)))

    def fixed(self, text: str) -> str:
        return DELIVERY.sub("ID", TIME_STAMP.sub("TIME", text))

    def test_the_settings_and_the_metrics(self) -> None:
        listen, access = blocks("ini")
        self.assertIn("listen = tcp:8889", listen)
        self.http_broker(access.replace("prometheus", "qa"), database="memory:", keep_data="true")
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics", headers={"Authorization": basic()})
        text = connection.getresponse().read().decode()
        there = {
            family.name + ("_total" if family.type == "counter" else "")
            for family in text_string_to_metric_families(text)
            if family.name.startswith("wsmb")
        }
        said = set(re.findall(r"`(wsmb_\w+)(?:\{\w+\})?`", DOCUMENT.partition("## Metrics")[2]))
        self.assertEqual(there, said)
        connection.request("GET", "/openapi.json")
        self.assertIn("/metrics", json.loads(connection.getresponse().read())["paths"])

    def test_the_codes_of_refusals(self) -> None:
        table = DOCUMENT.partition("## What is refused")[2].partition("##")[0]
        for code, status in STATUSES.items():
            if code != Code.UNKNOWN_DELIVERY.number:  # /acks names them instead
                line = next(line for line in table.splitlines() if line.startswith(f"| {status:d}"))
                self.assertIn(f"`{code}`", line)
