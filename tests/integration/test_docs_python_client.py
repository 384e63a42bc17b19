"""docs/python-client.md says what is so: its examples are run against a real broker."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, LIMIT_S, PASSWORD, USER, environment
from wsmb import client

DOCUMENT = (CHECKOUT / "docs" / "python-client.md").read_text()
URL = "ws://127.0.0.1:8888/"
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```output\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class ExampleTests(BrokerCase):
    def test_each_does_what_it_says(self) -> None:
        examples = EXAMPLE.findall(DOCUMENT)
        self.assertEqual(len(examples), DOCUMENT.count("```python"))
        broker = self.broker(database="sqlite:///kept.sqlite3", keep_data="true")
        url = f"ws://127.0.0.1:{broker.port}/"
        self.assertIn(URL, examples[0][0])
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program.replace(URL, url)],
                env=environment({"WSMB_URL": url, "WSMB_USER": USER, "WSMB_PASSWORD": PASSWORD}),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for program, _ in examples
        ]
        for process, (_, output) in zip(running, examples, strict=True):
            self.assertEqual(process.communicate(timeout=LIMIT_S)[0], output)

    def test_every_public_name_is_there(self) -> None:
        told = set(re.findall(r"\w+", DOCUMENT))
        inner = {"Delivery", "BlockingDelivery", "TwistedDelivery"}
        self.assertEqual(set(client.__all__) - told - inner, set())
        for name in client.__all__:
            self.assertEqual(getattr(client, name).__name__, name)
        with self.assertRaises(AttributeError):
            client.nothing  # noqa: B018
