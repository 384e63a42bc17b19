"""The distribution wsmb-client: built, and installed where there is neither Twisted nor a broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, LIMIT_S, PASSWORD, USER, environment

PIP_S = 300
PROGRAM = """
import asyncio, importlib.util, json
from wsmb.client import BlockingClient, Client

async def main():
    async with Client() as client:
        await client.send("wheels", "a")

asyncio.run(main())
with BlockingClient() as client:
    client.send("wheels", "b")
    came = []
    for delivery in client.receive("wheels"):
        came += delivery.data
        delivery.ack()
        if len(came) == 2:
            break
absent = [name for name in ("twisted", "autobahn", "wsmb.broker") if importlib.util.find_spec(name) is None]
print(json.dumps([came, absent]))
"""


class WheelTests(BrokerCase):
    def test_without_the_broker(self) -> None:
        folder = self.folder()
        self.run_python(CHECKOUT / "packaging" / "client" / "stage.py", folder / "source")
        self.run_python("-m", "venv", "--without-pip", folder / "venv")
        python = folder / "venv" / "bin" / "python"
        self.run_python("-m", "pip", "--python", python, "install", "--quiet", folder / "source")
        broker = self.broker(database="sqlite:///kept.sqlite3", keep_data="true")
        told = {"WSMB_URL": f"ws://127.0.0.1:{broker.port}/", "WSMB_USER": USER, "WSMB_PASSWORD": PASSWORD}
        kept = {name: value for name, value in environment(told).items() if name != "PYTHONPATH"}
        printed = subprocess.run(
            [python, "-I", "-c", PROGRAM],
            env=kept,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        self.assertEqual(printed.stderr, "", printed.stderr)
        came, absent = json.loads(printed.stdout)
        self.assertEqual((came, absent), (["a", "b"], ["twisted", "autobahn", "wsmb.broker"]))

    def run_python(self, *arguments: str | Path) -> None:
        # What is on Python's path would be taken for installed.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=PIP_S,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
