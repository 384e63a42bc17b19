"""Tests for wsmb.http.channel_list, portions, ages and speeds: the channels as the page shows them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support_http import KEPT, HttpWorld
from tests.support_protocol import client_frame
from tests.test_http_requests import RequestCase
from wsmb.errors import Code, StoreError
from wsmb.http.ages import MOST_PORTIONS, PATIENCE_S, PORTION
from wsmb.http.speeds import LEAST_S, MOST_S, Speeds

SEND = b'{"command":"send-message","channel":"%s","data":[1]}'


class ChannelsCase(RequestCase):
    there: HttpWorld

    def answer(self, query: str = "") -> Any:
        return self.there.ask("GET", f"/admin/channels{query}").json

    def rows(self, query: str = "") -> Any:
        return {row["name"]: row for row in self.answer(query)["channels"]}

    def names(self, query: str = "") -> list[str]:
        return [row["name"] for row in self.answer(query)["channels"]]

    def send(self, connection: Any, *channels: str) -> None:
        connection.receive(b"".join(client_frame(SEND % name.encode()) for name in channels))
        self.there.settle()


class ListTests(ChannelsCase):
    def test_sorted_found_and_cut(self) -> None:
        self.there = world = self.world(default_channel=KEPT)
        for name, items in (("b", 3), ("c", 1), ("dead.b", 2)):
            world.ask("POST", f"/channels/{name}", [0] * items)
        world.receiver("a")
        self.assertEqual(self.names(""), ["b", "dead.b", "c", "a"])
        self.assertEqual(self.names("?sort=name"), ["a", "b", "c", "dead.b"])
        self.assertEqual(self.names("?sort=receivers&max=2"), ["a", "b"])
        self.assertEqual(self.names("?start=1&max=2"), ["dead.b", "c"])
        self.assertEqual((self.names("?find=b&max=1"), self.answer("?find=b&max=1")["total"]), (["b"], 2))
        self.assertEqual(self.names("?find=x"), [])

    def test_names_are_found_by_any_letter(self) -> None:
        self.there = world = self.world()
        world.receiver("Büro/größe")
        world.receiver("Buro")
        self.assertEqual(self.names("?find=%C3%B6%C3%9F"), ["Büro/größe"])
        self.assertEqual(world.ask("GET", "/admin/channels?find=%FF").status, 400)

    def test_rows_are_counted_in_whole_numbers(self) -> None:
        world = self.world()
        for query in ("start=0.5", "max=5s", "start=-1", "max=1_0", "max=9999999999"):
            answer = world.ask("GET", f"/admin/channels?{query}")
            self.assertEqual((answer.status, answer.json["code"]), (400, "02"), query)

    def test_a_row(self) -> None:
        self.there = world = self.world(default_channel=KEPT)
        world.receiver("sms", ack=True)
        world.ask("POST", "/channels/sms", 1)
        (row,) = self.answer("")["channels"]
        self.assertEqual((row["receivers"], row["senders"], row["frames"]), (1, 0, 1))

    def test_never_more_than_so_many(self) -> None:
        self.there = world = self.world(default_channel=KEPT)
        for number in range(210):
            world.store.append(f"c{number}", [b"1"], lambda _: None)
        world.settle()
        self.assertEqual(len(self.names("?max=1000")), 200)
        self.assertEqual(len(self.names("")), 50)

    def test_another_order(self) -> None:
        answer = self.world().ask("GET", "/admin/channels?sort=size")
        self.assertEqual(
            (answer.status, answer.json["error"]),
            (400, "sort is one of waiting, age, rate, senders, receivers, name"),
        )


class SendersTests(ChannelsCase):
    def test_who_has_sent_and_is_still_there(self) -> None:
        self.there = world = self.world()
        one, other = world.greeted(), world.greeted()
        self.send(one, "sms", "sms", "mail")
        self.send(other, "sms")
        self.assertEqual({name: row["senders"] for name, row in self.rows().items()}, {"sms": 2, "mail": 1})
        self.assertEqual(self.names("?sort=senders"), ["sms", "mail"])
        one.lose()
        self.assertEqual({name: row["senders"] for name, row in self.rows().items()}, {"sms": 1})

    def test_a_request_is_none(self) -> None:
        self.there = world = self.world(default_channel=KEPT)
        world.ask("POST", "/channels/sms", 1)
        self.assertEqual(self.rows()["sms"]["senders"], 0)


class RateTests(ChannelsCase):
    def rates(self) -> dict[str, float]:
        return {name: row["frames_per_s"] for name, row in self.rows("?sort=rate").items()}

    def test_of_channels_that_nobody_follows_and_of_those_that_nobody_receives_on(self) -> None:
        self.there = world = self.world()
        world.receiver("sms")
        sender = world.greeted()
        self.send(sender, "sms", "mail", "mail")
        self.assertEqual(self.rates(), {"mail": None, "sms": None})
        world.clock.advance(0.98)  # to ask takes 0.02
        self.send(sender, "sms", *["mail"] * 3, "new")
        self.assertEqual(self.rates(), {"mail": 3.0, "new": 1.0, "sms": 1.0})
        self.assertEqual(self.rates(), {"mail": 3.0, "new": 1.0, "sms": 1.0})
        world.clock.advance(1)
        self.send(sender, *["sms"] * 4)
        self.assertEqual(next(iter(self.rates())), "sms")
        self.assertEqual(self.rows()["mail"]["frames"], 5)


class AgeTests(ChannelsCase):
    def waiting(self, *names: str) -> None:
        self.there = self.world(default_channel=KEPT)
        for name in names:
            self.there.store.append(name, [b"1"], lambda _: None)
        self.there.settle()

    def ages(self, query: str = "") -> dict[str, int | None]:
        return {name: row["oldest_s"] for name, row in self.rows(query).items()}

    def test_of_what_is_shown_and_of_nothing_else(self) -> None:
        self.waiting("a", "b", "c")
        self.there.receiver("nothing waits")
        self.there.store.age_of = {"a": 7.0, "b": 3.0, "c": 1.0}
        self.assertEqual(self.ages("?max=1"), {"a": 7})
        self.assertEqual(self.ages("?start=2&max=2"), {"c": 1, "nothing waits": None})
        self.assertEqual(self.there.store.asked_ages, [["a"], ["c"]])

    def test_they_are_read_once_a_second_however_many_look(self) -> None:
        self.waiting("a")
        self.there.store.age_of = {"a": 7.0}
        for _ in range(3):
            self.assertEqual(self.ages(), {"a": 7})
        self.assertEqual(len(self.there.store.asked_ages), 1)
        self.there.clock.advance(0.9)
        self.there.store.age_of = {"a": 2.0}
        self.assertEqual(self.ages(), {"a": 2})

    def test_the_oldest_first(self) -> None:
        names = [f"c{number:03}" for number in range(250)]
        self.waiting(*names)
        self.there.store.age_of = {name: float(place) for place, name in enumerate(names)}
        self.assertEqual(self.names("?sort=age&max=3"), ["c249", "c248", "c247"])
        self.assertEqual(list(map(len, self.there.store.asked_ages)), [PORTION, PORTION, 50])
        # The first ones were drained meanwhile, and something new has come.
        self.there.clock.advance(1)
        self.there.store.age_of = {name: place + 2.0 for place, name in enumerate(names[:248])}
        self.assertEqual(self.names("?sort=age&max=3"), ["c247", "c246", "c245"])
        self.assertEqual(sum(map(len, self.there.store.asked_ages[3:])), 5)

    def test_what_was_empty_when_it_was_read_grows_old_from_then_on(self) -> None:
        self.waiting("a", "b")
        self.there.store.age_of = {"a": 1.0}
        self.assertEqual(self.ages("?sort=age"), {"a": 1, "b": None})
        self.there.clock.advance(10)
        self.there.store.age_of = {"a": 0.0, "b": 9.0}
        self.assertEqual(self.names("?sort=age&max=1"), ["b"])

    def test_only_so_much_is_read_for_one_answer(self) -> None:
        self.waiting(*(f"c{number:04}" for number in range(PORTION * MOST_PORTIONS + 1)))
        self.assertEqual(len(self.names("?sort=age&max=1")), 1)
        self.assertEqual(len(self.there.store.asked_ages), MOST_PORTIONS)

    def test_it_waits_for_the_store_and_not_for_ever(self) -> None:
        self.waiting("a")
        store = self.there.store
        store.age_of = {"a": 7.0}
        first, second = self.there.client(), self.there.client()
        for client in (first, second):
            client.request("GET", "/admin/channels")
        self.assertIsNone(first.answer())
        self.there.clock.advance(PATIENCE_S)
        for client in (first, second):
            self.assertIsNone(client.answer().json["channels"][0]["oldest_s"])
        first.request("GET", "/admin/channels")
        self.assertEqual(len(store.asked_ages), 1)  # a database that is away is not asked again and again
        store.settle()
        self.assertEqual(first.answer().json["channels"][0]["oldest_s"], 7)

    def test_who_leaves_meanwhile_leaves_nothing_behind(self) -> None:
        self.waiting("a")
        client = self.there.client()
        client.request("GET", "/admin/channels")
        timers = len(self.there.clock.getDelayedCalls())
        client.transport.loseConnection()
        self.there.turn()
        self.assertLess(len(self.there.clock.getDelayedCalls()), timers)
        self.there.settle()
        self.assertEqual(self.ages(), {"a": None})

    def test_a_store_that_cannot_tell_is_asked_once(self) -> None:
        self.waiting("a")
        self.there.store.failing = StoreError(Code.UNAVAILABLE, "refused")
        for _ in range(3):
            self.assertEqual(self.ages(), {"a": None})
            self.there.clock.advance(1)
        self.assertEqual(len(self.there.store.asked_ages), 1)

    def test_channels_where_nothing_waits_any_more_are_forgotten(self) -> None:
        self.waiting("a", "b")
        self.ages()
        ids = list(self.there.store.rows)
        self.there.store.remove(ids[:1])
        self.there.settle()
        self.assertEqual(self.ages(), {"b": None})
        ages = self.there.http.routes["admin", "channels"]["GET"].carry_out.__self__._ages
        self.assertEqual(list(ages._known), ["b"])


class SpeedsTests(SynchronousTestCase):
    def test_between_two_looks(self) -> None:
        speeds = Speeds()
        speeds.look(10.0, {"a": 5})
        self.assertIsNone(speeds.of("a"))
        self.assertFalse(speeds.is_due(10.0 + LEAST_S / 2))
        self.assertTrue(speeds.is_due(12.0))
        speeds.look(12.0, {"a": 9, "new": 4})
        self.assertEqual((speeds.of("a"), speeds.of("new"), speeds.of("none")), (2.0, 2.0, None))

    def test_a_count_that_begins_anew(self) -> None:
        speeds = Speeds()
        speeds.look(10.0, {"a": 500})
        speeds.look(11.0, {"a": 3})
        self.assertEqual(speeds.of("a"), 3.0)

    def test_an_old_look_says_nothing(self) -> None:
        speeds = Speeds()
        speeds.look(10.0, {"a": 500})
        speeds.look(11.0 + MOST_S, {"a": 900})
        self.assertIsNone(speeds.of("a"))
