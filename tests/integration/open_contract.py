"""Opening a store on a database server, and what the start says when that fails, whichever server it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet import reactor

from tests.contracts.store_contract import ask
from wsmb.errors import SettingError
from wsmb.interfaces import StoredItem
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store


class OpenContract:
    """A ServerCase mixes it in."""

    def make_few(self) -> DatabaseSettings:
        """Settings of a user who may use the tables that are there, and make none."""
        raise NotImplementedError

    def assert_nothing_left(self) -> None:
        """No connection of a start that has failed."""

    def assert_refused(self, *words: str, **changes: Any) -> None:
        with self.assertRaises(SettingError) as caught:
            open_store(replace(self.settings, **changes), reactor)
        text = str(caught.exception)
        self.assertNotIn("\n", text)
        self.assertNotIn(changes.get("password") or self.settings.password, text)
        for word in words:
            self.assertIn(word, text)
        self.assert_nothing_left()

    async def test_over_tcp(self) -> None:
        self.settings = self.server.new_database(over_tcp=True)
        store = self.open()
        self.assertEqual(await ask(store.append, "sms", [b"1"]), [1])

    def test_a_wrong_password(self) -> None:
        for password in ("hunter2-π", ""):
            self.assert_refused("[database] username", "'wsmb'", password=password)

    def test_an_unknown_database(self) -> None:
        self.assert_refused("[database] name", "'nowhere'", name="nowhere")

    def test_nobody_there(self) -> None:
        self.assert_refused("[database] host", "127.0.0.1:1", host="127.0.0.1", port=1)
        self.assert_refused("[database] host", "/no/socket", host="/no/socket")

    def test_a_server_that_does_not_answer(self) -> None:
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        with self.assertRaises(SettingError) as caught:
            self.open()
        self.assertIn("[database] host", str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        self.assertNotIn(self.settings.password, str(caught.exception))

    async def test_tables_that_the_administrator_made_are_used(self) -> None:
        await ask(self.open().close)
        store = self.open(self.make_few())
        (item_id,) = await ask(store.append, "sms", [b"1"], expires_at=4e9, key=b"k" * 16)
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), [StoredItem(item_id, b"1", 0, 4e9)])
        await ask(store.close)
