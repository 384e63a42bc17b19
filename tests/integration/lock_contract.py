"""One broker on the tables of a database at a time, whichever server it is on."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet import reactor

from tests.contracts.store_contract import ask
from wsmb.errors import SettingError
from wsmb.store import open_store


class LockContract:
    """A ServerCase mixes it in, with a `holder` of the lock."""

    def test_other_tables_and_other_databases_are_free(self) -> None:
        self.open()
        self.open(replace(self.settings, prefix="other_"))
        self.open(self.server.new_database())

    async def test_a_start_that_failed_leaves_no_lock(self) -> None:
        self.sql("CREATE TABLE mq_data (data_id int)")
        with self.assertRaises(SettingError):
            open_store(self.settings, reactor)
        self.sql("DROP TABLE mq_data")
        await ask(self.open().append, "sms", [b"1"])

    async def test_our_own_lost_connection_does_not_keep_us_out(self) -> None:
        """The network is cut, and the server has not noticed."""
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"1"])
        old = self.holder()
        proxy.cut_at(b"INSERT", deliver=False, hold=True)
        await ask(store.append, "sms", [b"2"])
        self.assertEqual((proxy.cuts, self.rows()), (1, [("sms", "1"), ("sms", "2")]))
        self.assertNotIn(self.holder(), (None, old))
