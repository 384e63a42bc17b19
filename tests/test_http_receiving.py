"""Tests for wsmb.http.polling and wsmb.http.receiving: what a GET gives, and acknowledgements."""

from __future__ import annotations

import json
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from tests.support_http import KEPT, Answer, HttpClient, HttpWorld, rules
from tests.support_protocol import client_frame
from wsmb.errors import CloseCode, Code, CommandError, StoreError
from wsmb.http.receiving import MOST_ROUNDS, Round, Rounds
from wsmb.http.visitor import Delivered, Heard, ItemCounts, Visitor, understand
from wsmb.replies import numbered
from wsmb.settings import ChannelSettings

SMS = "/channels/sms"


class ReceivingCase(SynchronousTestCase):
    def world(self, **settings: object) -> HttpWorld:
        world = HttpWorld(**{"default_channel": KEPT, **settings})
        self.addCleanup(world.close)
        return world

    def poll(self, world: HttpWorld, path: str, **options: object) -> HttpClient:
        """A request that waits."""
        client = world.client()
        client.request("GET", path, **options)
        world.settle()
        return client

    def items(self, answer: Answer) -> list[object]:
        return [item for one in answer.json["deliveries"] for item in one["data"]]

    def ids(self, answer: Answer) -> list[str]:
        return [one["id"] for one in answer.json["deliveries"]]


class ReceivingTests(ReceivingCase):
    def test_what_waits_is_given_and_gone_once_it_is_acknowledged(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1, 2])
        given = world.ask("GET", SMS)
        self.assertEqual((given.status, self.items(given)), (200, [1, 2]))
        self.assertEqual(world.ask("GET", SMS).json, {"deliveries": []})
        self.assertEqual(world.store.waiting("sms"), [1, 2])
        self.assertEqual(world.ask("POST", "/acks", {"ack": self.ids(given)}).json, {"unknown": []})
        self.assertEqual(world.store.waiting("sms"), [])

    def test_nothing_is_there(self) -> None:
        for settings in (KEPT, ChannelSettings()):
            world = self.world(default_channel=settings)
            self.assertEqual(world.ask("GET", SMS).json, {"deliveries": []})
            self.assertEqual(len(world.broker.channels), 0)

    def test_it_waits_for_something_to_come_and_for_what_comes_with_it(self) -> None:
        world = self.world()
        client = self.poll(world, SMS + "?wait=25s")
        world.beat(240)
        self.assertIsNone(client.answer())
        sender = world.client()
        sender.ask("POST", SMS, 1)
        sender.ask("POST", SMS, 2)
        world.clock.advance(0.015)
        sender.ask("POST", SMS, 3)
        self.assertIsNone(client.answer())
        world.clock.advance(0.005)
        self.assertEqual(self.items(client.answer()), [1, 2, 3])

    def test_it_waits_no_longer(self) -> None:
        world = self.world()
        client = self.poll(world, SMS + "?wait=2")
        world.beat(21)
        self.assertEqual(client.answer().json, {"deliveries": []})
        world.settle()
        self.assertEqual(len(world.broker.channels), 0)

    def test_no_more_than_it_asks_for(self) -> None:
        world = self.world(default_channel=ChannelSettings(keep_data=KEPT.keep_data, limit=1))
        world.ask("POST", SMS, list(range(5)))
        self.assertEqual(self.items(world.ask("GET", SMS + "?max=2")), [0, 1])
        self.assertEqual(self.items(world.ask("GET", SMS + "?max=2")), [2, 3])
        self.assertEqual(self.items(world.ask("GET", SMS)), [4])

    def test_an_answer_has_about_a_megabyte(self) -> None:
        world = self.world(default_channel=ChannelSettings(keep_data=KEPT.keep_data, limit=1))
        for _ in range(3):
            world.ask("POST", SMS, "x" * 600_000)
        self.assertEqual(len(world.ask("GET", SMS).json["deliveries"]), 2)
        self.assertEqual(len(world.ask("GET", SMS).json["deliveries"]), 1)

    def test_behind_a_page_of_what_others_have(self) -> None:
        world = self.world()
        world.ask("POST", SMS, list(range(450)))
        first = world.ask("GET", SMS + "?max=40")
        self.assertEqual(len(self.items(first)), 400)
        client = world.client()
        client.request("GET", SMS)
        while world.store.is_busy:
            world.store.step()
            world.turn()
        world.clock.advance(0.02)
        self.assertEqual(self.items(client.answer()), list(range(400, 450)))

    def test_what_is_not_acknowledged_comes_again(self) -> None:
        world = self.world(default_channel=ChannelSettings(keep_data=KEPT.keep_data, ack_timeout_s=5))
        world.ask("POST", SMS, 1)
        first = world.ask("GET", SMS)
        self.assertFalse(first.json["deliveries"][0]["redelivered"])
        world.settle()
        world.beat(70)
        world.settle()
        second = world.ask("GET", SMS)
        self.assertEqual(self.items(second), [1])
        self.assertTrue(second.json["deliveries"][0]["redelivered"])
        late = world.ask("POST", "/acks", {"ack": self.ids(first)})
        self.assertEqual((late.status, late.json), (404, {"unknown": self.ids(first)}))
        self.assertEqual(world.store.waiting("sms"), [1])

    def test_what_came_while_it_waited_and_is_rejected_goes_to_the_next(self) -> None:
        world = self.world()
        client = self.poll(world, SMS + "?wait=5&max=1")
        world.ask("POST", SMS, 1)
        ids = self.ids(client.answer())
        other = self.poll(world, SMS + "?wait=5&max=1")
        world.ask("POST", "/acks", {"reject": ids})
        world.settle()
        answer = other.answer()
        self.assertEqual((self.items(answer), answer.json["deliveries"][0]["redelivered"]), ([1], True))

    def test_what_is_rejected_for_good_is_dead(self) -> None:
        world = self.world()
        world.ask("POST", SMS, 1)
        ids = self.ids(world.ask("GET", SMS))
        self.assertEqual(world.ask("POST", "/acks", {"reject": ids, "requeue": False}).status, 200)
        world.settle()
        self.assertEqual(world.store.waiting("sms"), [])
        self.assertEqual(world.store.waiting("dead.sms")[0]["item"], 1)

    def test_acknowledgements_that_mean_nothing(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1])
        (known,) = self.ids(world.ask("GET", SMS))
        name = known.partition(".")[0]
        unknown = [
            "",
            "x",
            ".",
            f"{name}.",
            f"{name}.2",
            f"{name}.x",
            f"{name}.{'1' * 5000}",
            f"x{known}",
            "x.1",
        ]
        answer = world.ask("POST", "/acks", {"ack": [*unknown, known]})
        self.assertEqual((answer.status, answer.json), (404, {"unknown": unknown}))
        self.assertEqual(world.store.waiting("sms"), [])
        for body in (
            b"",
            b"[]",
            b'{"ack":"x"}',
            b'{"acks":[]}',
            b'{"ack":[1]}',
            b'{"delay":-1}',
            b"[" * 9999,
        ):
            self.assertEqual(world.ask("POST", "/acks", body).status, 400, body[:20])

    def test_another_user_cannot_acknowledge(self) -> None:
        world = self.world()
        world.ask("POST", SMS, 1)
        ids = self.ids(world.ask("GET", SMS))
        self.assertEqual(world.ask("POST", "/acks", {"ack": ids}, user="other").status, 404)
        self.assertEqual(world.ask("POST", "/acks", {"reject": ids}, user="other").status, 404)
        self.assertEqual(world.ask("POST", "/acks", {"ack": ids}).status, 200)

    def test_what_has_been_acknowledged_takes_no_memory(self) -> None:
        world = self.world()
        for _ in range(3):
            world.ask("POST", SMS, 1)
            world.ask("POST", "/acks", {"ack": self.ids(world.ask("GET", SMS))})
        world.http.sweep()
        self.assertEqual(len(world.http._rounds), 0)
        self.assertEqual((len(world.broker.channels), len(world.broker.subscribers)), (0, 0))

    def test_who_acknowledges_nothing_gets_no_more(self) -> None:
        world = self.world(max_outstanding_bytes=65_536)
        for _ in range(2):
            world.ask("POST", SMS, "x" * 65_536)
        self.assertEqual(len(world.ask("GET", SMS + "?max=1").json["deliveries"]), 1)
        refused = world.ask("GET", SMS)
        self.assertEqual((refused.status, refused.json["code"]), (429, "05"))
        self.assertEqual(world.ask("GET", SMS, user="other").status, 200)

    def test_a_client_that_leaves_gets_nothing(self) -> None:
        world = self.world()
        client = self.poll(world, SMS + "?wait=5")
        client.transport.loseConnection()
        world.turn()
        world.ask("POST", SMS, 1)
        self.assertEqual(self.items(world.ask("GET", SMS)), [1])
        world.beat(60)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_client_that_leaves_before_what_has_come_is_written(self) -> None:
        world = self.world()
        client = self.poll(world, SMS + "?wait=5")
        self.assertEqual(world.client().ask("POST", SMS, 1).json["receivers"], 1)
        client.transport.loseConnection()
        world.settle()
        self.assertEqual(self.items(world.ask("GET", SMS)), [1])

    def test_the_store_does_not_answer(self) -> None:
        world = self.world()
        client = world.client()
        client.request("GET", SMS)
        world.beat(101)
        self.assertEqual(client.answer().status, 503)

    def test_the_store_fails(self) -> None:
        world = self.world()
        world.store.failing = StoreError(Code.UNAVAILABLE, "closed")
        self.assertEqual(world.ask("GET", SMS).status, 503)

    def test_the_access_list(self) -> None:
        world = self.world(access=rules("allow qa receive sms", "allow other send *"))
        self.assertEqual(world.ask("GET", SMS).status, 200)
        refused = world.ask("GET", "/channels/other?wait=5")
        self.assertEqual((refused.status, refused.json["code"]), (403, "03"))
        self.assertEqual(world.ask("GET", SMS, user="other").status, 403)

    def test_another_access_list_while_it_waits(self) -> None:
        world = self.world(access=rules("allow qa receive sms"))
        client = self.poll(world, SMS + "?wait=25")
        world.broker.use_access(rules("deny qa receive sms"))
        self.assertEqual(client.answer().status, 403)

    def test_numbers_that_are_none(self) -> None:
        world = self.world()
        for text in ("x", ".", "s", "1.", "1.2.3"):
            self.assertEqual(world.ask("GET", f"{SMS}?wait={text}").status, 400, text)
        for query in ("max=-1", "max=1&max=2", "limit=5"):
            self.assertEqual(world.ask("GET", f"{SMS}?{query}").status, 400, query)
        self.assertEqual(world.ask("GET", f"{SMS}?max=0").status, 200)
        self.assertEqual(world.ask("GET", f"{SMS}?max=99999").status, 200)

    def test_head_does_not_receive(self) -> None:
        world = self.world()
        world.ask("POST", SMS, 1)
        self.assertEqual(world.ask("HEAD", SMS).status, 400)
        self.assertEqual(self.items(world.ask("GET", SMS)), [1])

    def test_what_comes_in_the_turn_of_the_answer_is_in_it(self) -> None:
        world = self.world()
        sender = world.greeted()
        client = self.poll(world, SMS + "?wait=5")
        frame = client_frame(b'{"command":"send-message","channel":"sms","data":1}')
        sender.receive(frame)
        world.clock.rightNow += 0.05  # the reactor is late
        sender.protocol.dataReceived(frame)
        self.assertEqual(self.items(client.answer()), [1, 1])
        client.transport.loseConnection()
        self.assertEqual(len(world.clock.getDelayedCalls()), 1)  # of the reactor's lag


class EndTests(ReceivingCase):
    def test_a_user_who_is_withdrawn(self) -> None:
        world = self.world()
        world.ask("POST", SMS, 1)
        world.ask("GET", SMS)
        client, other = self.poll(world, SMS + "?wait=25"), self.poll(world, SMS + "?wait=25", user="other")
        world.http.withdraw({"qa"})
        world.settle()
        self.assertEqual(client.answer().status, 503)
        self.assertFalse(client.is_open)
        world.clock.advance(0.02)
        self.assertEqual(self.items(other.answer()), [1])

    def test_the_broker_stops(self) -> None:
        world = self.world()
        world.ask("POST", SMS, 1)
        kept = world.ask("GET", SMS)
        idle, waiting, sending = world.client(), self.poll(world, SMS + "?wait=25"), world.client()
        acknowledging = world.client()
        idle.ask("GET", "/health/live")
        sending.request("POST", "/channels/other", 2)
        world.factory.stop_taking()
        self.assertEqual(idle.ask("GET", "/health/ready").status, 503)
        acknowledging.request("POST", "/acks", {"ack": self.ids(kept)})
        self.assertEqual(acknowledging.answer().status, 200)
        world.http.close()
        world.broker.close()
        self.assertEqual(acknowledging.ask("POST", "/acks", {"ack": ["x.1"]}).status, 503)
        self.assertEqual(waiting.answer().status, 503)
        ended = []
        world.http.end_all(1.0).addCallback(ended.append)
        self.assertIsNone(sending.answer())
        world.settle()
        self.assertEqual(sending.answer().status, 200)
        self.assertFalse(idle.is_open or waiting.is_open or sending.is_open or acknowledging.is_open)
        self.assertEqual(ended, [None])
        self.assertEqual(world.store.waiting("sms"), [])
        world.clock.advance(1)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_what_does_not_end_is_ended(self) -> None:
        world = self.world()
        sending = world.client()
        sending.request("POST", SMS, 1)
        ended = []
        world.http.end_all(1.0).addCallback(ended.append)
        self.assertTrue(sending.is_open)
        world.clock.advance(1.0)
        self.assertFalse(sending.is_open)
        self.assertEqual(ended, [None])


class RoundTests(SynchronousTestCase):
    def test_one_that_is_ended_gives_nothing_that_could_not_be_acknowledged(self) -> None:
        world = HttpWorld(default_channel=KEPT)
        self.addCleanup(world.close)
        made: list[Visitor] = []

        def make(heard: Heard) -> Visitor:
            soon = partial(world.clock.callLater, 0)
            made.append(Visitor(world.broker, world.factory.time_stamp, "qa", soon, heard, ItemCounts()))
            return made[0]

        one = Round(make, "sms", 10, lambda: None)
        world.settle()
        self.assertEqual(world.client().ask("POST", SMS, 1).json["receivers"], 1)
        made[0].end(CloseCode.TOO_SLOW)
        world.turn()
        self.assertEqual((one.take(), one.outstanding), ([], 0))

    def test_how_many_there_may_be(self) -> None:
        rounds = Rounds(lambda: 1 << 30)
        for number in range(MOST_ROUNDS):
            rounds.check_room("qa")
            rounds.add(Kept(str(number)))
        with self.assertRaises(CommandError) as caught:
            rounds.check_room("qa")
        self.assertIs(caught.exception.code, Code.TOO_MANY)
        rounds.check_room("other")


class Kept:
    """A Round of which one frame is not acknowledged."""

    user, outstanding, size_bytes = "qa", 1, 1

    def __init__(self, name: str) -> None:
        self.name = name


class UnderstandTests(SynchronousTestCase):
    def test_what_a_sender_has_written_itself_does_not_count(self) -> None:
        for fields in (
            b'"delivery":"x"',
            b'"delivery":7,"redelivered":{}',
            b'"response_code":"03"',
            b'"a":"}"',
        ):
            payload = b'{"command":"send-message",%s,"channel":1,"data" : {"a": [1]} }' % fields
            heard = understand(numbered(payload, 17, True))
            self.assertEqual(heard[:4], Delivered(17, b'[{"a": [1]}]', [b'{"a": [1]}'], True, 0)[:4])

    def test_such_a_frame_is_received(self) -> None:
        world = HttpWorld(default_channel=KEPT)
        self.addCleanup(world.close)
        sender = world.greeted()
        frame = {"delivery": "x", "redelivered": [], "command": "send-message", "channel": "sms", "data": 1}
        client = world.client()
        client.request("GET", SMS + "?wait=5&max=1")
        world.settle()
        sender.receive(client_frame(json.dumps(frame).encode()))
        world.settle()
        self.assertEqual(client.answer().json["deliveries"][0]["data"], [1])
