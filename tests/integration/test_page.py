"""The page for people, in Chromium, as it is used by mouse, keyboard and phone."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

from tests.integration.broker_process import PASSWORD, USER, poll
from tests.integration.browser import Tab
from tests.integration.javascript_case import JavascriptCase
from tests.integration.raw_client import command
from tests.integration.test_http import HttpCase

ROW = "[...document.querySelectorAll('#{} tbody tr')].find((row) => row.innerText.includes('{}'))"
ACCESS = f"[access]\nallow[] = {USER} admin *\nallow[] = {USER} * *\n"
ENTER, TAB = ("Enter", 13, "\r"), ("Tab", 9)


class PageTests(HttpCase, JavascriptCase):
    def setUp(self) -> None:
        self.process = self.http_broker(ACCESS, database="sqlite:///waiting.db", keep_data="true")
        profile = self.browse("about:blank", "--remote-debugging-port=0")
        self.tab = tab = Tab(profile)
        self.addCleanup(tab.close)

    def open(self, user: str = USER) -> None:
        self.host = f"127.0.0.1:{self.http_port}"
        self.tab.call("Page.navigate", url=f"http://{user}:{quote(PASSWORD, safe='')}@{self.host}/")
        self.tab.until("document.body?.dataset.rounds >= 1 || document.querySelector('#state.bad')")

    def tearDown(self) -> None:
        self.assertEqual(self.tab.complaints(), [])
        self.assertEqual(self.tab.hosts(), {self.host})

    def fill(self, field: str, text: str) -> None:
        self.tab.run(f"document.querySelector({field!r}).value = {text!r}")

    def cells(self, section: str, text: str) -> Any:
        return self.tab.run(f"[...{ROW.format(section, text)}.cells].map((cell) => cell.innerText)")

    def test_it_shows_who_is_there_and_ends_a_connection(self) -> None:
        receiver = self.receiver(self.process, "sms")
        self.open()
        self.assertEqual(self.cells("channels", "sms")[:3], ["sms", "0", "1"])
        self.assertEqual(self.cells("connections", USER)[0], USER)
        self.tab.run(f"{ROW.format('connections', USER)}.querySelector('button').focus()")
        self.tab.press(*ENTER)
        self.tab.until("document.getElementById('sure').open")
        self.tab.press(*ENTER)  # the first button says no
        self.tab.until("!document.getElementById('sure').open")
        self.assertEqual(receiver.fence(), [])
        self.tab.press(*ENTER)
        self.tab.until("document.getElementById('sure').open")
        self.tab.press(*TAB)
        self.tab.until("document.activeElement.value === 'yes'")
        self.tab.press(*ENTER)
        self.tab.until(f"!{ROW.format('connections', USER)}")
        self.assertEqual(receiver.read_to_end(), b"")

    def heads(self) -> list[str | None]:
        return self.tab.run(
            "[...document.querySelectorAll('#channels th')].map((head) => head.getAttribute('aria-sort'))"
        )

    def first(self) -> str:
        return "document.querySelector('#channels tbody td').innerText"

    def test_senders_rate_and_the_oldest_item_and_sorted_by_each(self) -> None:
        mail, many = self.sender(self.process), self.sender(self.process)
        self.receiver(self.process, "sms")
        for _ in range(3):
            many.send_text(command("send-message", "many", data=[1]))
        mail.send_text(command("send-message", "mail", data=[1]))
        for one in (mail, many):
            self.assertEqual(one.fence(), [])
        with sqlite3.connect(self.process.folder / "waiting.db", timeout=30) as database:
            database.execute(
                "UPDATE mq_data SET created = datetime(created, '-7300 seconds') WHERE channel = 'mail'"
            )
        database.close()
        self.open()
        self.tab.until(f"{ROW.format('channels', 'mail')}.cells[3].innerText === '0'")
        self.assertEqual(self.cells("channels", "mail")[:6], ["mail", "1", "0", "0", "1", "2 h"])
        self.assertEqual(self.heads(), [None, None, None, None, "descending", None, None])
        self.assertEqual(self.tab.run(self.first()), "many")
        self.tab.run(
            "[...document.querySelectorAll('th button')].find((one) => one.innerText === 'Oldest').focus()"
        )
        self.tab.press(*ENTER)
        self.tab.until(f"{self.first()} === 'mail'")
        self.assertEqual(self.heads(), [None, None, None, None, None, "descending", None])
        self.assertEqual(self.tab.run("document.querySelector('#channels select').value"), "age")
        self.tab.run("document.querySelector('#channels select').value = 'rate'")
        self.tab.run("document.querySelector('#channels select').dispatchEvent(new Event('change'))")
        self.assertEqual(self.heads(), [None, None, None, "descending", None, None, None])
        for _ in range(500):
            many.send_text(command("send-message", "sms", data=[1]))
        self.tab.until(
            f"{self.first()} === 'sms' && {ROW.format('channels', 'sms')}.cells[3].innerText !== '0'"
        )

    def test_an_item_is_sent_and_a_dead_letter_replayed(self) -> None:
        self.open()
        self.fill("#send-form [name=channel]", "two/parts")
        self.tab.run("document.querySelector('#send-form button').click()")
        self.tab.until("document.getElementById('send-said').innerText.includes('1 stored')")
        self.tab.until(ROW.format("channels", "two/parts"))
        _, found = self.ask("GET", "/channels/two%2Fparts")
        self.ask("POST", "/acks", {"reject": [found["deliveries"][0]["id"]], "requeue": False})
        self.fill("#letters-form [name=channel]", "dead.two/parts")
        self.tab.run("document.querySelector('#letters-form button').click()")
        self.tab.until("document.querySelector('#letters-list pre')")
        self.assertIn('"test": true', self.tab.run("document.getElementById('letters-list').innerText"))
        self.tab.run("document.querySelector('#letters-list button').click()")
        self.tab.until("document.getElementById('letters-said').innerText === 'Sent to two/parts.'")
        _, again = self.ask("GET", "/channels/two%2Fparts")
        self.assertEqual(again["deliveries"][0]["data"], [{"test": True}])
        poll(lambda: not self.ask("GET", "/admin/channels?find=dead.")[1]["total"], "the letter to be gone")

    def test_who_may_not_administer_is_told_so(self) -> None:
        self.open("apr1")
        said = "The broker refuses: Forbidden: apr1 may not admin"
        self.assertEqual(self.tab.run("document.getElementById('state').innerText"), said)
        self.tab.events = [each for each in self.tab.events if each["method"] != "Log.entryAdded"]

    def test_it_fits_a_phone_and_its_charts_go_on(self) -> None:
        self.receiver(self.process, "sms")
        self.tab.call(
            "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True
        )
        self.open()
        self.tab.until("document.getElementById('throughput-said').innerText.includes('received')")
        self.assertEqual(self.tab.run("document.documentElement.scrollWidth"), 390)
        inner = "document.querySelector('#channels .scroll')"
        self.tab.until(f"{inner}.scrollWidth === {inner}.clientWidth")
        self.assertTrue(self.tab.run("document.querySelectorAll('#throughput canvas').length === 1"))
        unnamed = "[...document.querySelectorAll('button, input, select, textarea')].filter((each) =>"
        self.assertEqual(
            self.tab.run(f"{unnamed} !each.labels?.length && !each.textContent && !each.ariaLabel).length"), 0
        )
