"""What every MessageStore keeps. A test case mixes this in and says how to open one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.threads import blockingCallFromThread, deferToThread

from tests import NEW_EXAMPLES
from tests.contracts.store_replay import FAR, NAMES, STEPS, Replay, ask, data_of
from wsmb.errors import Code, StoreError
from wsmb.interfaces import MessageStore, StoredItem
from wsmb.settings import ChannelSettings, Limits


class StoreContract:
    """Tests of the guarantees in wsmb.interfaces.MessageStore.

    `open_store` gives an empty store, which is closed after each test; `grow_older` turns the time on.
    """

    store: MessageStore
    examples = 40

    def open_store(self) -> MessageStore:
        raise NotImplementedError

    def grow_older(self, seconds: int) -> None:
        """All that waits was stored so much earlier."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.store = self.open_store()
        self.addCleanup(lambda: ask(self.store.close))

    async def keep(self, channel: str, *items: bytes) -> list[int]:
        return await ask(self.store.append, channel, items)

    async def read(self, channel: str, after_id: int = 0, items: int = 100, size: int = 10**6) -> Any:
        return await ask(self.store.page, channel, after_id, items, size)

    async def test_items_come_back_in_order_with_ascending_ids(self) -> None:
        first = await self.keep("sms", b'{"n":1}', b'{"n":2}')
        second = await self.keep("sms", b'{"n":3}')
        found = await self.read("sms")
        self.assertEqual(data_of(found), [b'{"n":1}', b'{"n":2}', b'{"n":3}'])
        self.assertEqual([item.item_id for item in found], [*first, *second])
        self.assertEqual(sorted({*first, *second}), [*first, *second])

    async def test_nothing_waits_on_a_new_channel(self) -> None:
        self.assertEqual(list(await self.read("nobody")), [])

    async def test_an_append_of_no_items(self) -> None:
        self.assertEqual(list(await self.keep("sms")), [])
        self.assertEqual(list(await self.read("sms")), [])

    async def test_removed_items_are_gone_and_unknown_ids_are_passed_over(self) -> None:
        ids = await self.keep("sms", b"1", b"2", b"3")
        self.store.remove([ids[1], 999_999_999, ids[1]])
        self.store.remove([])
        self.assertEqual(data_of(await self.read("sms")), [b"1", b"3"])

    async def test_many_ids_at_once(self) -> None:
        ids = await self.keep("sms", *[b"%d" % n for n in range(1234)])
        self.store.remove(ids[1:])
        self.assertEqual(data_of(await self.read("sms")), [b"0"])

    async def test_ids_are_not_given_again(self) -> None:
        ids = await self.keep("sms", b"1")
        self.store.remove(ids)
        self.assertGreater((await self.keep("sms", b"2"))[0], ids[0])

    async def test_channels_compare_exactly(self) -> None:
        for number, name in enumerate(NAMES):
            await self.keep(name, b"%d" % number)
        for number, name in enumerate(NAMES):
            self.assertEqual(data_of(await self.read(name)), [b"%d" % number], name)
        self.assertEqual(list(await self.read("alice ")), [])

    async def test_any_json_comes_back_as_the_same_value_in_utf8(self) -> None:
        values = ["é💬\u2028", {"Ключ": ["\\", '"', "'", "\n\x7f", None, 1.5]}, 12345678901234567890, ""]
        texts = [json.dumps(value, ensure_ascii=False, indent=1).encode() for value in values]
        await self.keep("sms", *texts)
        self.assertEqual([json.loads(data) for data in data_of(await self.read("sms"))], values)

    async def test_a_page_begins_after_the_id(self) -> None:
        ids = await self.keep("sms", b"1", b"2", b"3")
        self.assertEqual(data_of(await self.read("sms", ids[0])), [b"2", b"3"])
        self.assertEqual(list(await self.read("sms", ids[2])), [])

    async def test_a_page_holds_no_more_items_than_asked(self) -> None:
        await self.keep("sms", b"1", b"2", b"3")
        self.assertEqual(data_of(await self.read("sms", items=2)), [b"1", b"2"])
        self.assertEqual(list(await self.read("sms", items=0)), [])

    async def test_a_page_holds_no_more_bytes_than_asked_but_one_item(self) -> None:
        await self.keep("sms", b'"1234"', b'"5678"', b'"9"')
        self.assertEqual(data_of(await self.read("sms", size=12)), [b'"1234"', b'"5678"'])
        self.assertEqual(data_of(await self.read("sms", size=11)), [b'"1234"'])
        self.assertEqual(data_of(await self.read("sms", size=1)), [b'"1234"'])

    async def test_a_page_tells_when_items_expire(self) -> None:
        await self.keep("sms", b"1")
        await ask(self.store.append, "sms", [b"2", b"3"], expires_at=FAR + 0.25)
        self.assertEqual([item.expires_at for item in await self.read("sms")], [None, FAR + 0.25, FAR + 0.25])

    async def test_tries_are_noted_and_come_with_the_page(self) -> None:
        first, second = await ask(self.store.append, "sms", [b"1", b"2"], expires_at=FAR)
        (third,) = await self.keep("sms", b"3")
        self.store.note_tries({third: 7, 999_999_999: 1, first: 1})
        self.store.note_tries({first: 2})
        self.store.note_tries({})
        found = [(item.item_id, item.tries, item.expires_at) for item in await self.read("sms")]
        self.assertEqual(found, [(first, 2, FAR), (second, 0, FAR), (third, 7, None)])

    async def test_tries_of_what_has_been_removed_are_passed_over(self) -> None:
        ids = await self.keep("sms", b"1", b"2")
        self.store.remove(ids[:1])
        self.store.note_tries({ids[0]: 1, ids[1]: 1})
        self.assertEqual(await self.read("sms"), [StoredItem(ids[1], b"2", 1)])

    async def test_many_tries_at_once(self) -> None:
        ids = await self.keep("sms", *[b"1"] * 345)
        self.store.note_tries({item_id: item_id for item_id in ids})
        self.assertEqual([item.tries for item in await self.read("sms", items=1000)], ids)

    async def test_a_new_store_remembers_no_keys(self) -> None:
        self.assertEqual(list(self.store.keys), [])

    async def test_a_key_may_come_with_no_items(self) -> None:
        self.assertEqual(list(await ask(self.store.append, "sms", [], key=b"k" * 16)), [])
        self.assertEqual(len(await ask(self.store.append, "sms", [b"1"], key=b"l" * 16)), 1)
        self.assertEqual(data_of(await self.read("sms")), [b"1"])

    async def test_results_come_in_order_and_never_at_once(self) -> None:
        order: list[int] = []
        for number in range(0, 400, 2):
            self.store.append("sms", [b"%d" % number], lambda _ids, number=number: order.append(number))
            self.store.page("sms", 0, 1, 10, lambda _found, number=number: order.append(number + 1))
        self.assertEqual(order, [])
        await self.read("sms")
        self.assertEqual(order, list(range(400)))

    async def test_an_operation_sees_those_before_it_and_none_after_it(self) -> None:
        pages = []
        for number in range(50):
            self.store.append("sms", [b"%d" % number], lambda _ids: None)
            pages.append(ask(self.store.page, "sms", 0, 100, 10**6))
        for number, page in enumerate(await gatherResults(pages)):
            self.assertEqual(data_of(page), [b"%d" % n for n in range(number + 1)])

    async def test_what_a_result_asks_for_is_carried_out(self) -> None:
        answered: Deferred[Any] = Deferred()
        self.store.append("sms", [b"1"], lambda _ids: self.store.page("sms", 0, 1, 1, answered.callback))
        self.assertEqual(data_of(await answered), [b"1"])

    async def test_it_counts_what_waits(self) -> None:
        ids = await self.keep("sms", b"1", b'"22"')
        await self.keep("SMS", b'"333"')
        await self.keep("sms")
        stock = self.store.stock
        self.assertEqual((stock.items, stock.bytes), (3, 10))
        self.assertEqual((stock.of("sms"), stock.of("SMS"), stock.of("other")), ((2, 5), (1, 5), (0, 0)))
        self.store.remove([ids[1], 999_999_999, ids[1]])
        await self.read("sms")
        self.assertEqual((stock.items, stock.bytes, stock.of("sms")), (2, 6, (1, 1)))

    async def test_it_counts_what_is_on_its_way(self) -> None:
        answer = ask(self.store.append, "sms", [b"1", b"2"])
        self.assertEqual((self.store.stock.items, self.store.stock.of("sms")), (2, (2, 2)))
        await answer

    async def test_one_past_the_limit_of_a_channel_is_refused_until_there_is_room(self) -> None:
        items = ChannelSettings(max_waiting_items_per_channel=3)
        size = ChannelSettings(max_waiting_bytes_per_channel=3)
        for name, within in (("items", items), ("bytes", size)):
            ids = await ask(self.store.append, name, [b"1", b"2", b"3"], within=within)
            await self.assert_too_many(name, within)
            await ask(self.store.append, "another", [b"1"], within=within)
            await self.keep(name, b"4")  # what was taken before
            self.store.remove(ids[:2])
            self.assertEqual(data_of(await self.read(name)), [b"3", b"4"])
            await ask(self.store.append, name, [b"5"], within=within)
            await self.assert_too_many(name, within)
            self.store.remove([item.item_id for item in await self.read("another")])

    async def test_one_past_the_limit_of_all_channels_is_refused_until_there_is_room(self) -> None:
        within = ChannelSettings()
        for limits in (Limits(max_waiting_items=3), Limits(max_waiting_bytes=3)):
            self.store.stock.limits = limits
            ids = await ask(self.store.append, "a", [b"1", b"2"], within=within)
            ids += await ask(self.store.append, "b", [b"3"], within=within)
            await self.assert_too_many("c", within)
            self.store.remove(ids)
            await self.read("a")

    async def assert_too_many(self, channel: str, within: ChannelSettings) -> None:
        """One more is refused, in its turn, and not stored."""
        answers = [ask(self.store.append, channel, [b"9"], within=within) for _ in range(2)]
        page = ask(self.store.page, channel, 0, 100, 10**6)
        for refused in await gatherResults(answers):
            self.assertIs(refused.code, Code.TOO_MANY)
        self.assertNotIn(b"9", data_of(await page))

    async def ages(self, *channels: str) -> Any:
        return await ask(self.store.ages, channels)

    async def test_how_long_the_oldest_item_of_a_channel_has_been_there(self) -> None:
        self.assertEqual(await self.ages(), {})
        self.assertEqual(await self.ages("sms", "other"), {})
        ids = await self.keep("sms", b"1", b"2")
        found = await self.ages("sms", "other")
        self.assertEqual(list(found), ["sms"])
        self.assertTrue(0 <= found["sms"] < 60, found)
        self.store.remove(ids)
        self.assertEqual(await self.ages("sms"), {})

    async def test_the_age_is_that_of_the_first_item_that_is_left(self) -> None:
        first, *_ = await self.keep("sms", b"1")
        self.grow_older(100)
        second, *_ = await self.keep("sms", b"2")
        self.grow_older(1000)
        await self.keep("sms", b"3")
        self.assertTrue(1100 <= (await self.ages("sms"))["sms"] < 1160)
        self.store.remove([first])
        self.assertTrue(1000 <= (await self.ages("sms"))["sms"] < 1060)
        self.store.remove([second])
        self.assertTrue(0 <= (await self.ages("sms"))["sms"] < 60)

    async def test_what_was_stored_in_the_future_is_new(self) -> None:
        await self.keep("sms", b"1")
        self.grow_older(-1000)
        self.assertEqual(await self.ages("sms"), {"sms": 0.0})

    async def test_the_ages_of_many_channels_whose_names_are_nearly_the_same(self) -> None:
        for name in NAMES:
            await self.keep(name, b"1")
            self.grow_older(100)
        asked = [*NAMES, "alice ", *(f"empty {number}" for number in range(150))]
        ages = await self.ages(*asked)
        expected = {name: 100 * (len(NAMES) - place) for place, name in enumerate(NAMES)}
        self.assertEqual({name: int(age_s // 100 * 100) for name, age_s in ages.items()}, expected)
        self.assertEqual(await self.ages("\ud800", "a\0b"), {})

    async def test_it_gives_a_sign_of_life(self) -> None:
        self.assertIs(await ask(self.store.check), True)

    async def test_close_finishes_what_was_asked_before(self) -> None:
        order: list[object] = []
        for number in range(100):
            self.store.append("sms", [b"%d" % number], order.append)
        closed = ask(self.store.close)
        self.assertEqual(order, [])
        await closed
        self.assertEqual(len(order), 100)
        self.assertFalse([one for one in order if isinstance(one, StoreError)])

    async def test_after_close_everything_is_refused(self) -> None:
        closed = ask(self.store.close)
        refused = [ask(self.store.append, "sms", [b"1"]), ask(self.store.page, "sms", 0, 1, 1)]
        await closed
        refused.append(ask(self.store.ages, ["sms"]))
        refused += [ask(self.store.append, "sms", [b"1"]), ask(self.store.page, "sms", 0, 1, 1)]
        self.store.remove([1])
        for answer in await gatherResults(refused):
            self.assertIsInstance(answer, StoreError)
            self.assertIs(answer.code, Code.UNAVAILABLE)
        self.assertIs(await ask(self.store.check), False)

    async def test_each_close_is_answered(self) -> None:
        await gatherResults([ask(self.store.close), ask(self.store.close)])
        await ask(self.store.close)

    def test_random_sequences(self) -> Deferred[None]:
        count = 0

        @settings(max_examples=max(self.examples, NEW_EXAMPLES), suppress_health_check=list(HealthCheck))
        @given(STEPS)
        def run(steps: list[tuple[Any, ...]]) -> None:
            nonlocal count
            count += 1
            replay = Replay(self.store, f"{count}:")
            blockingCallFromThread(reactor, lambda: ensureDeferred(replay.play(steps)))

        return deferToThread(run)
