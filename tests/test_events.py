"""Tests for wsmb.events and wsmb.reserved: what is told of channels, when, and who else sends there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from tests.support_topics import TopicCase
from tests.test_channels import Bench, Sender
from tests.test_session import TIME, SessionTestCase
from wsmb.access import AccessRules
from wsmb.errors import Code, StoreError
from wsmb.events import CHANNEL, MOST_A_LOOK, MOST_MOVES, Events
from wsmb.settings import ChannelSettings, KeepData, Settings

SEND = b'{"command":"send-message","channel":"$events","data":[1],"confirm":1}'
RECEIVE = b'{"command":"receive-message","channel":"$events"}'


class Watcher:
    """A bench whose events are looked for once a second."""

    def __init__(self, *, channels: tuple[tuple[str, ChannelSettings], ...] = (), **channel: Any) -> None:
        self.bench = Bench(**{"keep_data": KeepData.OFFLINE, **channel})
        own = ChannelSettings(**{**channel, "keep_data": KeepData.NEVER})
        self.settings = Settings(
            listen=(),
            default_channel=self.bench.broker._settings.default_channel,
            channels=((CHANNEL, own), *channels),
        )
        self.bench.broker.use_settings(self.settings)
        self.posted: list[Any] = []
        self.events = Events(
            self.bench.broker, self.settings, lambda texts: self.posted.extend(map(json.loads, texts)), "b"
        )
        self.now_s = 0.0

    def looks(self, count: int = 1) -> list[str]:
        """What has been told after so many seconds: `no-receiver c`."""
        for _ in range(count):
            self.now_s += 1
            self.events.look(self.now_s)
        posted, self.posted = self.posted, []
        return [f"{event['event']} {event['channel']}" for event in posted]

    def sent(self, channel: str = "c", count: int = 1) -> None:
        sender = self.bench.sender()
        for number in range(count):
            sender.send(channel, number)
        self.bench.store.settle()

    def drained(self, channel: str = "c") -> Sender:
        """A receiver that has received and proved all that waits."""
        receiver = self.bench.receiver(channel)
        self.bench.store.settle()
        return receiver

    def leave(self, receiver: Sender, channel: str = "c") -> None:
        self.bench.broker.channels.leave(channel, receiver)


class NoReceiverTests(SynchronousTestCase):
    def test_told_once_when_it_has_lasted_and_once_when_it_is_over(self) -> None:
        watcher = Watcher(no_receiver_seconds=3.0)
        watcher.sent()
        self.assertEqual(watcher.looks(3), [])
        watcher.sent()
        self.assertEqual(watcher.looks(), ["no-receiver c"])
        watcher.sent()
        self.assertEqual(watcher.looks(100), [])
        watcher.drained()
        self.assertEqual(watcher.looks(), ["receiver-back c"])
        self.assertEqual(watcher.looks(100), [])

    def test_nothing_waits(self) -> None:
        watcher = Watcher(no_receiver_seconds=1.0)
        watcher.leave(watcher.drained())
        self.assertEqual(watcher.looks(10), [])

    def test_somebody_receives(self) -> None:
        """Though it proves nothing: that is told by what waits."""
        watcher = Watcher(no_receiver_seconds=1.0, keep_data=KeepData.ALWAYS)
        watcher.bench.receiver().answers = False
        watcher.sent()
        self.assertEqual(watcher.looks(10), [])

    def test_a_receiver_in_between_counts_from_anew(self) -> None:
        """Also one that is gone again before the next look, as one that comes every minute."""
        watcher = Watcher(no_receiver_seconds=3.0)
        watcher.sent()
        watcher.looks(3)
        watcher.leave(watcher.drained())
        watcher.sent()
        self.assertEqual(watcher.looks(4), [])
        self.assertEqual(watcher.looks(), ["no-receiver c"])
        watcher.leave(watcher.drained())
        watcher.sent()
        self.assertEqual(watcher.looks(4), ["receiver-back c"])
        self.assertEqual(watcher.looks(), ["no-receiver c"])

    def test_over_when_what_waited_is_gone(self) -> None:
        watcher = Watcher(no_receiver_seconds=1.0)
        watcher.sent()
        self.assertEqual(watcher.looks(2), ["no-receiver c"])
        watcher.bench.store.remove([1])
        watcher.bench.store.settle()
        self.assertEqual(watcher.looks(), ["receiver-back c"])
        self.assertEqual(watcher.events._watched, {})

    def test_not_of_dead_letters_and_the_broker_s_own(self) -> None:
        watcher = Watcher(no_receiver_seconds=1.0)
        for channel in ("dead.c", "$x"):
            watcher.bench.broker.put(channel, [b"1"], lambda error, receivers=0, stored=0: None)
        watcher.bench.store.settle()
        self.assertEqual(watcher.looks(10), [])

    def test_as_it_is_told(self) -> None:
        watcher = Watcher(no_receiver_seconds=2.0)
        watcher.sent(count=3)
        receiver = watcher.bench.receiver(CHANNEL)
        watcher.looks(3)
        (event,) = receiver.items()
        expected = {
            **{"event": "no-receiver", "id": "b-1", "channel": "c", "time": TIME, "receivers": 0},
            **{"waiting": 3, "waiting_bytes": 3, "seconds": 2},
        }
        self.assertEqual(event, expected)


class WaitingTests(SynchronousTestCase):
    def test_above_and_not_over_before_it_is_half(self) -> None:
        watcher = Watcher(waiting_items=4)
        watcher.sent(count=4)
        self.assertEqual(watcher.looks(), [])
        watcher.sent()
        self.assertEqual(watcher.looks(), ["waiting c"])
        watcher.bench.store.remove([1, 2])
        watcher.bench.store.settle()
        self.assertEqual(watcher.looks(), [])
        watcher.sent(count=2)
        self.assertEqual(watcher.looks(), [])
        watcher.bench.store.remove([3, 4, 5])
        watcher.bench.store.settle()
        self.assertEqual(watcher.looks(), ["waiting-over c"])

    def test_each_channel_has_its_own_number(self) -> None:
        watcher = Watcher(
            waiting_items=4, channels=(("a*", ChannelSettings(keep_data=KeepData.OFFLINE, waiting_items=1)),)
        )
        watcher.sent("a1", 2)
        watcher.sent("b", 2)
        self.assertEqual(watcher.looks(), ["waiting a1"])

    def test_other_settings_count_from_then_on(self) -> None:
        watcher = Watcher(waiting_items=4)
        watcher.sent(count=5)
        watcher.looks()
        watcher.events.use_settings(replace(watcher.settings, default_channel=ChannelSettings()))
        self.assertEqual(watcher.looks(), ["waiting-over c"])
        self.assertEqual(watcher.looks(9), [])

    def test_no_more_than_so_many_in_a_look_and_the_others_later(self) -> None:
        watcher = Watcher(waiting_items=1)
        for number in range(MOST_A_LOOK + 5):
            watcher.sent(f"c{number}", 2)
        self.assertEqual(len(watcher.looks()), MOST_A_LOOK)
        self.assertEqual(len(watcher.looks()), 5)
        self.assertEqual(watcher.looks(), [])

    def test_not_while_the_broker_stops(self) -> None:
        watcher = Watcher(waiting_items=1)
        watcher.sent(count=2)
        watcher.bench.broker.is_stopping = True
        self.assertEqual(watcher.looks(), [])


class MoveTests(SynchronousTestCase):
    def test_who_came_and_went(self) -> None:
        watcher = Watcher(receiver_events=True)
        receivers = [watcher.drained(), watcher.drained()]
        self.assertEqual(watcher.looks(), ["receiver-came c"])
        watcher.leave(receivers[0])
        watcher.bench.broker.channels.end(receivers[1].receiver, ["c"])
        watcher.drained()
        self.assertEqual(watcher.looks(), ["receiver-came c", "receiver-went c"])
        self.assertEqual(watcher.looks(), [])

    def test_the_same_again_and_again_is_told_ever_more_rarely(self) -> None:
        watcher = Watcher(receiver_events=True)
        numbers = []
        for _ in range(200):
            watcher.leave(watcher.drained())
            numbers.append(len(watcher.looks()))
        seconds = [second for second, number in enumerate(numbers, start=1) if number]
        self.assertEqual(seconds, [1, 2, 4, 8, 16, 32, 64, 124, 184])
        self.assertEqual(set(numbers), {0, 2})
        watcher.looks(3 * 60)
        receiver = watcher.drained()
        self.assertEqual(watcher.looks(), ["receiver-came c"])
        watcher.leave(receiver)
        watcher.looks()
        watcher.looks(10)
        self.assertEqual(watcher.events._moves, {})

    def test_their_numbers(self) -> None:
        watcher = Watcher(receiver_events=True)
        listener = watcher.bench.receiver(CHANNEL)
        watcher.looks()
        watcher.drained()
        watcher.drained()
        watcher.looks()
        (event,) = listener.items()
        self.assertEqual((event["event"], event["number"], event["receivers"]), ("receiver-came", 2, 2))

    def test_to_come_again_is_not_to_come(self) -> None:
        watcher = Watcher(receiver_events=True)
        receiver = watcher.drained()
        watcher.looks()
        watcher.bench.broker.channels.receive("c", receiver.receiver)
        self.assertEqual(watcher.looks(), [])

    def test_who_is_passing_comes_when_it_stays(self) -> None:
        watcher = Watcher(receiver_events=True)
        peer = watcher.bench.sender()
        watcher.bench.broker.channels.receive("c", peer.receiver, is_passing=True)
        self.assertEqual(watcher.looks(), [])
        watcher.bench.broker.channels.stays("c", peer)
        self.assertEqual(watcher.looks(), ["receiver-came c"])

    def test_nothing_is_noted_where_it_is_not_asked_for(self) -> None:
        watcher = Watcher()
        watcher.drained()
        self.assertIsNone(watcher.bench.broker.channels.moved)
        watcher = Watcher(waiting_items=1)
        watcher.drained()
        self.assertEqual(watcher.looks(), [])

    def test_only_of_channels_that_ask_for_it(self) -> None:
        watcher = Watcher(channels=(("a", ChannelSettings(receiver_events=True)),))
        watcher.drained("a")
        watcher.drained("b")
        self.assertEqual(watcher.looks(), ["receiver-came a"])

    def test_in_turn_and_behind_what_begins_and_is_over(self) -> None:
        """However many come and go at each look."""
        watcher = Watcher(receiver_events=True, waiting_items=1)
        moved = watcher.bench.broker.channels.moved
        for number in range(MOST_A_LOOK):
            moved(f"c{number}", 1)
        watcher.sent(count=2)
        told = watcher.looks()
        self.assertEqual((told[0], len(told)), ("waiting c", MOST_A_LOOK))
        for number in range(MOST_A_LOOK - 1):
            moved(f"c{number}", 1)
        self.assertEqual(watcher.looks()[0], f"receiver-came c{MOST_A_LOOK - 1}")

    def test_names_that_are_made_up_do_not_fill_the_memory(self) -> None:
        watcher = Watcher(receiver_events=True)
        moved = watcher.bench.broker.channels.moved
        for number in range(MOST_MOVES + 3):
            moved(f"c{number}", 1)
        self.assertEqual(len(watcher.looks()), MOST_A_LOOK)
        self.assertEqual((watcher.events.take_lost(), watcher.events.take_lost()), (3, 0))


class KeptTests(SynchronousTestCase):
    """`$events` is set to keep."""

    def watcher(self, **channel: Any) -> Watcher:
        kept = ChannelSettings(keep_data=KeepData.OFFLINE, **channel)
        watcher = Watcher(waiting_items=1)
        settings = replace(watcher.settings, channels=((CHANNEL, kept),))
        watcher.bench.broker.use_settings(settings)
        watcher.events.use_settings(settings)
        watcher.sent(count=2)
        watcher.looks()
        return watcher

    def test_they_wait_for_who_comes(self) -> None:
        watcher = self.watcher()
        watcher.bench.store.settle()
        self.assertEqual([event["event"] for event in watcher.drained(CHANNEL).items()], ["waiting"])

    def test_no_more_than_may_wait(self) -> None:
        watcher = self.watcher(max_waiting_items_per_channel=1)
        watcher.sent("d", 2)
        self.assertEqual(watcher.looks(), ["waiting d"])
        watcher.bench.store.settle()
        self.assertEqual(len(watcher.bench.store.waiting(CHANNEL)), 1)
        self.assertEqual(watcher.events.take_lost(), 1)

    def test_what_the_store_does_not_take_is_counted(self) -> None:
        watcher = self.watcher()
        watcher.bench.store.failing = StoreError(Code.UNAVAILABLE, "")
        watcher.bench.store.settle()
        self.assertEqual(watcher.events.take_lost(), 1)


class ReservedTests(SessionTestCase):
    def test_nobody_sends_there(self) -> None:
        for rules in (None, AccessRules()):
            for is_received in (False, True):
                self.broker.use_access(rules)
                if is_received:
                    self.broker.channels.receive(CHANNEL, self.broker.receiver(RecordingPeer(), "other"))
                peer, session = self.greeted()
                session.frames_received([SEND])
                (answer,) = map(json.loads, peer.payloads())
                self.assertEqual(answer["response_code"], Code.FORBIDDEN.number, (rules, is_received))

    def test_everyone_may_receive_there_without_a_list(self) -> None:
        peer, session = self.greeted()
        session.frames_received([RECEIVE])
        self.broker.put(CHANNEL, [b"7"], lambda error, receivers=0, stored=0: None)
        self.assertEqual(peer.items(), [7])

    def test_nobody_may_without_a_line_of_the_list(self) -> None:
        self.broker.use_access(AccessRules())
        _, session = self.greeted()
        session.frames_received([RECEIVE])
        self.assertEqual(len(self.broker.channels), 0)

    def test_what_is_sent_under_an_id_can_be_sent_again(self) -> None:
        """That it was refused is not remembered as if it had been sent."""
        _, session = self.greeted()
        session.frames_received([SEND.replace(b'"confirm"', b'"message_id":"a","confirm"')])
        self.assertEqual(len(self.broker.message_ids), 0)


class TopicTests(TopicCase):
    def test_nobody_sends_there(self) -> None:
        bench = self.bench()
        other = self.listener(bench, user="other", channel=CHANNEL)
        client = self.text_client(bench, channel=CHANNEL)
        client.send("x")
        bench.beats(30)
        self.assertEqual((other.take(), client.session.answers.refused), ([], 1))
