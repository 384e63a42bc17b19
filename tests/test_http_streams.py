"""Tests for wsmb.http.streams: server-sent events, and when what they say counts as delivered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support_http import KEPT, Answer, HttpClient, HttpWorld, rules
from wsmb.http.streams import KEEP_S, event
from wsmb.settings import ChannelSettings

SMS = "/channels/sms"
EVENTS = SMS + "/events"


def parse(text: bytes) -> list[tuple[str, str]]:
    """(id, data) of each event, as the standard says."""
    found, event_id, data = [], "", []
    lines = text.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        if not line:
            if data:
                found.append((event_id, "\n".join(data)))
            data = []
        elif name == "id":
            event_id = value.removeprefix(" ")
        elif name == "data":
            data.append(value.removeprefix(" "))
    return found


def unchunked(data: bytes) -> tuple[bytes, bool]:
    """The bytes in chunks, and whether the last one was there."""
    found = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        if size == b"0":
            return found, True
        found += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :]
    return found, False


class StreamClient(HttpClient):
    """Asks for events."""

    def __init__(self, world: HttpWorld, path: str = EVENTS, last: str = "", user: str = "qa") -> None:
        super().__init__(world, "192.0.2.1")
        self.request("GET", path, headers={"Last-Event-ID": last} if last else {}, user=user)
        world.settle()
        self.last = last
        self.has_ended = False
        head, _, rest = self.transport.value().partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
        world.description.check("GET", path, Answer(int(head.split()[1]), headers, rest))
        self.status = int(head.split()[1])
        self.transport.clear()
        self.transport.write(rest)

    def text(self) -> bytes:
        """What has come since the last call."""
        self.world.settle()
        text, has_ended = unchunked(self.transport.value())
        self.has_ended |= has_ended
        self.transport.clear()
        return text

    def items(self) -> list[str]:
        """The data of the events that have come since the last call."""
        events = parse(self.text())
        if events:
            self.last = events[-1][0]
        return [data for _, data in events]

    def take(self, unsent: int = 0) -> None:
        """All but so many bytes are taken by the other end."""
        self.world.unsent[self.transport] = unsent

    def lose(self) -> None:
        self.transport.loseConnection()
        self.world.settle()


class StreamCase(SynchronousTestCase):
    def world(self, **settings: object) -> HttpWorld:
        world = HttpWorld(**{"default_channel": KEPT, **settings})
        self.addCleanup(world.close)
        return world

    def go_on(self, world: HttpWorld, seconds: int) -> None:
        for _ in range(seconds):
            world.beat(10)
            world.http.sweep()
            world.settle()


class StreamTests(StreamCase):
    def test_each_item_is_an_event(self) -> None:
        world = self.world()
        world.ask("POST", SMS, b'[{"a":\r\n1},2]')
        client = StreamClient(world)
        text = client.text()
        self.assertTrue(text.startswith(b"retry: 1000\n\nid: "), text)
        events = parse(text)
        self.assertEqual([data for _, data in events], ['{"a":\n1}', "2"])
        names = [name.split(".") for name, _ in events]
        self.assertEqual([name[1:] for name in names], [["1", "0"], ["1", "1"]])
        world.ask("POST", SMS, 3)
        self.assertEqual(client.items(), ["3"])

    def test_it_is_acknowledged_once_it_is_taken_and_the_stream_stays_open(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        client.take(1)
        self.go_on(world, 20)
        self.assertEqual(world.store.waiting("sms"), [1])
        client.take(0)
        self.go_on(world, 2)
        self.assertEqual(world.store.waiting("sms"), [1])
        self.go_on(world, 1)
        self.assertEqual(world.store.waiting("sms"), [])

    def test_what_was_written_just_now_may_not_have_got_to_the_kernel(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        world.http.sweep()
        client.take(1)
        self.go_on(world, 10)
        self.assertEqual(world.store.waiting("sms"), [1])

    def test_one_that_has_ended_gets_nothing_more(self) -> None:
        world = self.world()
        idle = StreamClient(world)
        idle.lose()
        self.assertEqual((len(world.broker.channels), world.broker.subscribers), (0, set()))
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        self.assertEqual(client.items(), ["1"])
        client.lose()
        world.ask("POST", SMS, [2])
        self.assertEqual(world.ask("GET", SMS).json["deliveries"][0]["data"], [2])

    def test_only_what_is_taken(self) -> None:
        world = self.world()
        client = StreamClient(world)
        world.ask("POST", SMS, 1)
        world.ask("POST", SMS, 2)
        client.items()
        client.take(len(event(client.last, b"2")))
        self.go_on(world, 4)
        self.assertEqual(world.broker.settled, (0, 1))
        client.take(0)
        self.go_on(world, 4)
        self.assertEqual(world.broker.settled, (0, 2))

    def test_it_ends_too_early_and_nobody_follows(self) -> None:
        world = self.world()
        world.ask("POST", SMS, 1)
        client = StreamClient(world)
        self.go_on(world, 2)
        client.lose()
        self.assertEqual(world.ask("GET", SMS).json["deliveries"], [])
        self.go_on(world, int(KEEP_S) + 1)
        (again,) = world.ask("GET", SMS).json["deliveries"]
        self.assertEqual((again["data"], again["redelivered"]), ([1], True))
        self.assertEqual(len(world.http._streams), 0)

    def test_the_next_stream_says_what_came(self) -> None:
        for settings in (KEPT, ChannelSettings()):
            world = self.world(default_channel=settings)
            client = StreamClient(world)
            for item in range(4):
                world.ask("POST", SMS, item)
            self.assertEqual(client.items(), ["0", "1", "2", "3"])
            name = client.last.partition(".")[0]
            client.lose()
            again = StreamClient(world, last=f"{name}.2.0")
            world.ask("POST", SMS, 4)
            self.assertEqual(again.items(), ["2", "3", "4"])
            self.assertEqual(world.broker.settled[1], 2)
            self.go_on(world, 10)
            self.assertEqual(world.broker.settled[1], 5)

    def test_of_a_frame_in_part(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1, 2, 3])
        client = StreamClient(world)
        name = client.items() and client.last.partition(".")[0]
        client.lose()
        again = StreamClient(world, last=f"{name}.1.1")
        self.assertEqual(again.items(), ["1", "2", "3"])
        self.assertEqual(StreamClient(world, last=again.last).items(), [])
        self.assertEqual(world.store.waiting("sms"), [])

    def test_it_follows_one_whose_end_has_not_been_seen(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        self.assertEqual(client.items(), ["1"])
        again = StreamClient(world, last=client.last)
        self.assertEqual((again.items(), client.text(), client.has_ended), ([], b"", True))
        self.assertEqual(world.store.waiting("sms"), [])

    def test_ids_that_mean_nothing(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        client.items()
        client.lose()
        for last in ("x", "x.1.1", f"{client.last}0" * 3, "..", client.last.replace(".", "")):
            self.assertEqual(StreamClient(world, last=last).items(), [])
        other = StreamClient(world, SMS + "2/events", last=client.last)
        self.assertEqual(other.items(), [])
        stranger = StreamClient(world, last=client.last, user="other")
        self.assertEqual(stranger.items(), [])
        self.assertEqual(world.store.waiting("sms"), [1])

    def test_a_sign_of_life(self) -> None:
        world = self.world()
        client = StreamClient(world)
        client.text()
        self.go_on(world, 14)
        self.assertEqual(client.text(), b"")
        self.go_on(world, 2)
        self.assertEqual(client.text(), b":\n\n")

    def test_who_takes_nothing_is_ended(self) -> None:
        world = self.world(ping_timeout_s=5)
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        client.take(1)
        self.go_on(world, 4)
        self.assertTrue(client.is_open)
        self.go_on(world, 3)
        self.assertFalse(client.is_open)
        self.go_on(world, 6)
        self.assertEqual(len(world.ask("GET", SMS).json["deliveries"]), 1)

    def test_no_more_than_a_few_megabytes_are_unacknowledged(self) -> None:
        world = self.world(default_channel=ChannelSettings(keep_data=KEPT.keep_data, limit=1))
        for _ in range(8):
            world.ask("POST", SMS, "x" * 1_000_000)
        client = StreamClient(world)
        self.assertEqual(len(client.items()), 5)
        self.go_on(world, 5)
        self.assertEqual(len(client.items()), 3)

    def test_no_more_is_kept_of_those_that_ended_than_there_may_be(self) -> None:
        world = self.world()
        sender = world.client()
        for place in range(1_003):
            client = StreamClient(world, f"/channels/c{place}/events")
            sender.ask("POST", f"/channels/c{place}", 1)
            client.lose()
        self.assertEqual(len(world.http._streams), 1_003)
        world.http.sweep()
        self.assertEqual(len(world.http._streams), 1_000)

    @given(st.text(st.sampled_from("a:\r\n \t"), max_size=20))
    def test_what_a_reader_makes_of_it(self, text: str) -> None:
        expected = text.replace("\r\n", "\n").replace("\r", "\n")
        self.assertEqual(parse(event("x.1.0", text.encode())), [("x.1.0", expected)])


class EndTests(StreamCase):
    def test_the_access_list(self) -> None:
        world = self.world(access=rules("allow qa receive sms"))
        self.assertEqual(StreamClient(world, "/channels/other/events").status, 403)
        client = StreamClient(world)
        world.broker.use_access(rules("deny qa receive sms"))
        client.text()
        self.assertTrue(client.has_ended)

    def test_a_user_who_is_withdrawn(self) -> None:
        world = self.world()
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        client.items()
        world.http.withdraw({"qa"})
        world.settle()
        self.assertFalse(client.is_open)
        self.assertEqual(len(world.ask("GET", SMS, user="other").json["deliveries"]), 1)

    def test_the_broker_stops(self) -> None:
        world = self.world()
        client = StreamClient(world)
        world.http.close()
        ended: list[object] = []
        world.http.end_all(1.0).addCallback(ended.append)
        client.text()
        self.assertTrue(client.has_ended)
        self.assertEqual((client.is_open, ended), (False, [None]))

    def test_what_is_late_is_told_to_nobody(self) -> None:
        world = self.world(default_channel=ChannelSettings(keep_data=KEPT.keep_data, ack_timeout_s=5))
        world.ask("POST", SMS, [1])
        client = StreamClient(world)
        client.take(1)
        client.items()
        self.go_on(world, 7)
        self.assertEqual(client.items(), ["1"])
        client.take(0)
        self.go_on(world, 4)
        self.assertEqual(world.store.waiting("sms"), [])
        self.assertTrue(client.is_open)

    def test_head(self) -> None:
        world = self.world()
        self.assertEqual(world.ask("HEAD", EVENTS).status, 400)
