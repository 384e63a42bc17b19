"""The PostgreSQL store while answers are lost, and where the server takes no more of something."""

from __future__ import annotations

from tests.contracts.store_contract import ask, data_of
from tests.integration.faults_contract import LostAnswersContract, RefusedContract
from tests.integration.postgresql_case import PostgresqlCase


class LostAnswersTest(LostAnswersContract, PostgresqlCase):
    async def test_ids_that_were_claimed_in_vain_are_used_by_the_next_try(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(b"nextval")
        self.assertEqual(await ask(store.append, "sms", [b"1"]), [2])
        self.assertEqual(proxy.cuts, 1)


class RefusedTest(RefusedContract, PostgresqlCase):
    refuse_13 = "ALTER TABLE mq_data ADD CHECK (data <> '13')"
    refuse_twice = "CREATE UNIQUE INDEX ON mq_data (channel, data)"

    async def test_on_a_full_disk_appends_wait_and_the_rest_goes_on(self) -> None:
        store = self.open()
        ids = await ask(store.append, "sms", [b"1", b"2"])
        self.sql(
            "CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE disk_full; END$$; "
            "CREATE TRIGGER full_up BEFORE INSERT ON mq_data FOR EACH STATEMENT EXECUTE FUNCTION full_up()"
        )
        answer = ask(store.append, "sms", [b"3"])
        store.remove(ids[:1])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"2"])
        self.assertFalse(answer.called)
        self.sql("DROP TRIGGER full_up ON mq_data")
        await answer
        self.assertEqual([data for _, data in self.rows()], ["2", "3"])
