"""The JavaScript client with the real broker: in Node, and in a page of Chromium."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from tests.integration.broker_process import CHECKOUT, LIMIT_S, PASSWORD, USER, BrokerProcess
from tests.integration.javascript_case import PACKAGES, PROGRAMS, JavascriptCase, Site
from tests.integration.tcp_proxy import LossyProxy
from wsmb import htpasswd

CLIENT = CHECKOUT / "clients" / "javascript"
SETTINGS = """
[server]
allowed_origins = {origin}
keep_data = always
[access]
deny[] = * * secret
allow[] = * * *
[channel relay.*]
keep_data = false
"""
NOTE_WHAT_IS_STORED = """
CREATE TABLE stored (data TEXT);
CREATE TRIGGER note AFTER INSERT ON mq_data WHEN NEW.data != '"end"'
BEGIN INSERT INTO stored VALUES (NEW.data); END;
"""


class JavascriptTests(JavascriptCase):
    def setUp(self) -> None:
        self.the_site = self.site()
        self.folder_of_data = self.folder()
        self.running = self.started(self.the_site)
        self.the_site.actions["kill"] = self.kill
        self.told = {
            "url": f"ws://127.0.0.1:{self.running.port}/",
            "user": USER,
            "password": PASSWORD,
        }

    def started(self, site: Site) -> BrokerProcess:
        self.file = self.folder_of_data / "kept.sqlite3"
        broker = BrokerProcess(
            self.folder(), ini=SETTINGS.format(origin=site.origin), database=f"sqlite:///{self.file}"
        )
        with (broker.folder / "users").open("a") as users:
            users.write(f"zoë:{htpasswd.bcrypt_hash('päss:wörd€'.encode(), 4)}\n")
        self.addCleanup(broker.stop)
        broker.start()
        return broker

    def kill(self) -> None:
        self.running.kill9()
        self.running.start()

    def assert_nothing_failed(self, result: dict[str, Any]) -> None:
        if result["failed"]:
            self.fail("\n\n".join(f"{name}:\n{how}" for name, how in result["failed"].items()))

    def test_in_node(self) -> None:
        self.start_node(self.the_site, PROGRAMS / "run_in_node.mjs", self.told)
        result = self.the_site.report()
        self.assert_nothing_failed(result)
        self.assertGreater(result["tried"], 10)

    def test_in_a_browser(self) -> None:
        self.browse(f"{self.the_site.origin}/tests/javascript/run_in_page.html?{urlencode(self.told)}")
        result = self.the_site.report()
        self.assert_nothing_failed(result)
        self.assertGreater(result["tried"], 10)

    def test_the_examples_of_its_documentation(self) -> None:
        document = (CLIENT / "README.md").read_text().replace("ws://127.0.0.1:8888/", self.told["url"])
        examples = re.findall(r"^```js\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
        folder = self.folder()
        packages = folder / "node_modules"
        packages.mkdir()
        (packages / "wsmb").symlink_to(CLIENT)
        (packages / "ws").symlink_to(PACKAGES / "ws")
        for number, example in enumerate(examples):
            program = folder / f"example-{number}.mjs"
            program.write_text(example)
            printed = self.run_node(program)
            expected = re.findall(r"// prints (.*)", example)
            self.assertEqual([line.rstrip() for line in printed.splitlines()], expected)
        self.assertEqual(len(examples), 4)

    def test_the_example_page(self) -> None:
        self.browse(f"{self.the_site.origin}/tests/javascript/drive_example.html?{urlencode(self.told)}")
        result = self.the_site.report()
        self.assert_nothing_failed(result)
        self.assertEqual(result["problems"], [])
        self.assertIn("Invalid URL", result["saw"].pop("address"))
        self.assertRegex(result["saw"].pop("refused"), "the connection failed; next attempt in .* s")
        self.assertEqual(
            result["saw"],
            {
                "connected": "Connected.",
                "stored": '{"n":1}: kept by the broker.',
                "done": "done",
                "item": '"<b>later</b>"',
                "rejected": "comes again",
                "forbidden": "x: Forbidden: qa may not send on secret",
                "problem": "Forbidden: qa may not receive on secret",
                "left": "Not connected.",
                "foreign": [],
            },
        )

    def exchange(self, items: int, kills: int, **more: str) -> dict[str, Any]:
        """Send and receive so many items. Each has to arrive, and to have been stored once."""
        with closing(sqlite3.connect(self.file)) as database:
            database.executescript(NOTE_WHAT_IS_STORED)
        told = {**self.told, "items": items, "kills": kills, **more}
        self.start_node(self.the_site, PROGRAMS / "kill_run.mjs", told)
        result: dict[str, Any] = self.the_site.report(LIMIT_S + items / 100)
        self.assert_nothing_failed(result)
        self.assertEqual((result["confirmed"], result["received"]), (items, items))
        self.assertEqual(len(result["pendingAtKills"]), kills)
        self.running.stop()  # so that all that was acknowledged is gone from the file
        with closing(sqlite3.connect(self.file)) as database:
            stored = database.execute("SELECT count(*), count(DISTINCT data) FROM stored").fetchone()
            left = database.execute("SELECT count(*) FROM mq_data").fetchone()
        self.assertEqual((stored, left), ((items, items), (0,)))
        return result

    def test_nothing_is_lost_or_stored_twice_when_the_broker_is_killed(self) -> None:
        items = int(os.environ.get("WSMB_TEST_ITEMS", "500"))
        kills = int(os.environ.get("WSMB_TEST_KILLS", "1"))
        result = self.exchange(items, kills)
        if "WSMB_TEST_ITEMS" in os.environ:
            print(f"\n{items} items, {kills} kills: {result}")

    def test_what_was_stored_though_its_confirm_was_lost_is_not_stored_again(self) -> None:
        proxy = LossyProxy(self.running.port)
        self.addCleanup(proxy.close)
        proxy.cut_at(b"", 2)  # the first packet is the opening request
        self.exchange(100, 0, senderUrl=f"ws://127.0.0.1:{proxy.port}/")
        self.assertEqual(proxy.cuts, 1)
