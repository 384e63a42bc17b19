"""What it takes to read a page of a long channel from PostgreSQL."""

from __future__ import annotations

import tracemalloc
from typing import Any

from tests.contracts.store_contract import ask, data_of
from tests.integration.postgresql_case import PostgresqlCase
from wsmb.interfaces import MessageStore


class LargeChannelTest(PostgresqlCase):
    async def peak_of_page(self, store: MessageStore, *question: object) -> tuple[int, Any]:
        await ask(store.page, *question)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        found = await ask(store.page, *question)
        return tracemalloc.get_traced_memory()[1], found

    async def test_a_channel_of_many_rows_costs_no_more_than_one_of_ten(self) -> None:
        store = self.open()
        insert = "INSERT INTO mq_data (channel, data) SELECT %s, n FROM generate_series(1, 200000) AS n"
        for name in ("many", "other"):
            self.sql(insert, name)
        peak, found = await self.peak_of_page(store, "many", 100_000, 10, 8192)
        self.assertEqual(data_of(found), [b"%d" % n for n in range(100_001, 100_011)])
        self.assertLess(peak, 200_000)
        for number in range(10):  # statements are prepared after a few times
            await ask(store.page, "other", number, 10, 8192)
        self.assert_pages_by_index()
        self.sql("ANALYZE mq_data")
        self.assert_pages_by_index()

    def assert_pages_by_index(self) -> None:
        """Whatever the planner knows, it does not walk over the rows of other channels."""
        plan = "EXPLAIN (ANALYZE, FORMAT JSON) " + self.dialect().table._read
        for name, after_id in (("other", 0), ("other", 200_000), ("none", 0), ("many", 199_990)):
            ((found,),) = self.sql(plan, name, after_id, name, 32, 8192)
            node = found[0]["Plan"]
            while "Plans" in node:
                (node,) = node["Plans"]
            self.assertEqual(node["Index Name"], "mq_data_channel", (name, after_id))
            self.assertNotIn("Filter", node)
            self.assertLessEqual(node["Actual Rows"], 32)

    async def test_an_age_is_one_look_at_the_index(self) -> None:
        store = self.open()
        rows = "SELECT %s, n, now() FROM generate_series(1, 50000) AS n"
        insert = f"INSERT INTO mq_data (channel, data, created) {rows}"
        for name in ("many", "other"):
            self.sql(insert, name)
        plan = "EXPLAIN (ANALYZE, FORMAT JSON) " + self.dialect().table._ages
        for _ in range(2):
            ((found,),) = self.sql(plan, ["many", "other", "none"])
            (node,) = [node for node in found[0]["Plan"]["Plans"] if node["Parent Relationship"] == "Inner"]
            while "Plans" in node:
                (node,) = node["Plans"]
            self.assertEqual(node["Index Name"], "mq_data_channel")
            self.assertLessEqual(node["Actual Rows"], 1)
            self.assertNotIn("Rows Removed by Filter", node)
            self.sql("ANALYZE mq_data")
        self.assertEqual(await ask(store.ages, ["many", "none"]), {"many": 0.0})

    async def test_a_page_of_large_items_is_not_fetched_beyond_its_bytes(self) -> None:
        store = self.open()
        self.sql(
            "INSERT INTO mq_data (channel, data) "
            "SELECT 'sms', '\"' || repeat('x', 1000000) || '\"' FROM generate_series(1, 100)"
        )
        peak, found = await self.peak_of_page(store, "sms", 0, 1000, 8192)
        self.assertEqual(len(found), 1)
        self.assertLess(peak, 8_000_000)
        peak, found = await self.peak_of_page(store, "sms", 0, 1000, 3_100_000)
        self.assertEqual(len(found), 3)
        self.assertLess(peak, 20_000_000)
