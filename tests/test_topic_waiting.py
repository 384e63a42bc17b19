"""What is sent with the channel in the URL and finds nobody, or only who may be gone in a moment."""

from __future__ import annotations

from tests.support_topics import TextClient, TopicCase
from wsmb.errors import Code, StoreError
from wsmb.lingering import LINGER_BEATS
from wsmb.settings import KeepData, Settings
from wsmb.topic_session import QUIET_BEATS, SILENT_BEATS

OFFLINE, ALWAYS = KeepData.OFFLINE, KeepData.ALWAYS


class LingeringTests(TopicCase):
    """What finds nobody, where nothing is kept."""

    def test_for_the_first_to_come(self) -> None:
        bench = self.bench()
        self.publish(bench, "answer", "and more")
        bench.beats(LINGER_BEATS - SILENT_BEATS - 2)
        first, second = self.text_client(bench), self.text_client(bench, is_receiver=True)
        self.assertEqual(second.take(), [b"answer", b"and more"])
        bench.beats(SILENT_BEATS)
        self.assertEqual(first.take(), [])

    def test_not_before_it_has_been_here_and_silent_for_200_ms(self) -> None:
        bench = self.bench()
        self.publish(bench, "answer")
        client = self.text_client(bench)
        bench.beats(SILENT_BEATS - 1)
        self.assertEqual(client.take(), [])
        bench.beats(1)
        self.assertEqual(client.take(), [b"answer"])

    def test_not_for_who_has_sent_something(self) -> None:
        bench = self.bench()
        self.publish(bench, "answer")
        client = self.text_client(bench)
        client.send("Connected")
        bench.beats(LINGER_BEATS - 1)
        self.assertEqual(client.take(), [])
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [b"answer", b"Connected"])

    def test_for_who_receives_by_command(self) -> None:
        bench = self.bench()
        self.publish(bench, "answer")
        self.assertEqual(bench.receiver(prefetch=1).take(), ["answer"])
        self.publish(bench, "gone")  # to the first one
        self.assertEqual(bench.receiver().take(), [])

    def test_not_for_its_sender(self) -> None:
        bench = self.bench()
        client = self.listener(bench)
        client.send("anybody?")
        client.session.access_changed()
        self.assertEqual(client.take(), [])
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [b"anybody?"])

    def test_gone_after_two_seconds(self) -> None:
        bench = self.bench()
        self.publish(bench, "answer")
        bench.beats(LINGER_BEATS - 1)
        self.publish(bench, "later")
        bench.beats(1)
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [b"later"])

    def test_not_what_has_found_somebody(self) -> None:
        bench = self.bench()
        listener = self.listener(bench)
        self.publish(bench, "on")
        bench.client().send("by command")
        late = self.text_client(bench, is_receiver=True)
        self.assertEqual((len(listener.take()), late.take()), (2, []))

    def test_what_is_sent_by_command_is_gone(self) -> None:
        bench = self.bench()
        bench.client().send(1)
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [])

    def test_what_only_a_publisher_got_finds_the_next_one(self) -> None:
        bench = self.bench()
        publisher = self.text_client(bench)
        publisher.send("one")
        self.publish(bench, "two")
        self.assertEqual(publisher.take(), [b"two"])
        publisher.end()
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [b"one", b"two"])

    def test_but_not_if_it_has_come_to_stay(self) -> None:
        bench = self.bench()
        client = self.text_client(bench)
        self.publish(bench, "on")
        bench.beats(SILENT_BEATS)
        self.assertEqual(client.take(), [b"on"])
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [])

    def test_who_is_to_get_an_older_one_gets_it_first(self) -> None:
        bench = self.bench()
        sender = self.text_client(bench)
        sender.send("one")
        bench.beats(QUIET_BEATS - LINGER_BEATS + 5)
        client = self.text_client(bench)
        sender.send("two")
        self.publish(bench, "of another")
        self.assertEqual(client.take(), [b"of another"])
        bench.beats(SILENT_BEATS)
        self.assertEqual(client.take(), [b"one", b"two"])

    def test_not_what_is_too_old(self) -> None:
        bench = self.bench(expire_after_s=0.5)
        self.publish(bench, "old")
        bench.beats(4)
        self.publish(bench, "fresh")
        bench.beats(2)
        self.assertEqual(self.text_client(bench, is_receiver=True).take(), [b"fresh"])

    def test_names_that_somebody_makes_up_take_no_more_memory_than_is_set(self) -> None:
        bench = self.bench()
        settings = Settings(listen=(), max_buffer_bytes=10_000)
        bench.broker.use_settings(settings)
        for number in range(100):
            client = TextClient(bench.broker, channel=f"made up {number}")
            client.send("x" * 1_000)
            client.end()
        found = [
            TextClient(bench.broker, channel=f"made up {number}", is_receiver=True).take()
            for number in range(100)
        ]
        self.assertEqual(found, [[]] * 97 + [[b"x" * 1_000]] * 3)


class KeptTests(TopicCase):
    def test_what_finds_nobody_waits(self) -> None:
        for keep_data in (OFFLINE, ALWAYS):
            bench = self.bench(keep_data)
            self.publish(bench, "on", '{"a": 1}', " [1, 2] ", '"quoted"')
            self.assertEqual(bench.store.waiting("c"), ["on", {"a": 1}, [1, 2], "quoted"])
            bench.beats(100)
            client = self.listener(bench)
            self.assertEqual(client.take(), [b"on", b'{"a": 1}', b"[1, 2]", b"quoted"])
            bench.beats(QUIET_BEATS)
            self.assertTrue(client.pong())
            bench.settle()
            self.assertEqual(bench.store.rows, {})

    def test_what_was_sent_by_command_comes_item_by_item(self) -> None:
        bench = self.bench(OFFLINE, limit=2)
        bench.client().send({"a": 1}, "on", 3)
        bench.settle()
        client = self.text_client(bench, is_receiver=True)
        bench.settle()
        self.assertEqual(client.take(), [b'{"a": 1}', b"on", b"3"])

    def test_what_was_sent_as_text_comes_in_batches_by_command(self) -> None:
        bench = self.bench(OFFLINE, limit=2)
        self.publish(bench, "1", "on", "3")
        receiver = bench.receiver()
        self.assertEqual(receiver.take(), [1, "on", 3])
        self.assertEqual([command["data"] for command in receiver.commands], [[1, "on"], [3]])

    def test_not_for_who_may_be_gone_in_a_moment(self) -> None:
        bench = self.bench(OFFLINE)
        self.publish(bench, "kept")
        client, publisher = self.text_client(bench), self.text_client(bench)
        publisher.send("more")
        bench.beats(SILENT_BEATS - 1)
        self.assertEqual((client.take(), publisher.take()), ([], []))
        bench.beats(1)
        self.assertEqual((client.take(), publisher.take()), ([b"kept", b"more"], []))

    def test_one_that_sends_at_first_and_stays_gets_it_after_two_seconds(self) -> None:
        bench = self.bench(OFFLINE)
        self.publish(bench, "kept")
        client = self.text_client(bench)
        client.send("Connected")
        bench.beats(QUIET_BEATS - 1)
        self.assertEqual(client.take(), [])
        bench.beats(1)
        self.assertEqual(client.take(), [b"kept"])
        self.assertEqual(self.listener(bench).take(), [b"Connected"])

    def test_a_publisher_alone_does_not_make_the_database_read(self) -> None:
        for keep_data in (OFFLINE, ALWAYS):
            bench = self.bench(keep_data)
            client = self.text_client(bench)
            client.send("on")
            bench.store.step()
            self.assertFalse(bench.store.is_busy)
            client.end()
            self.assertFalse(bench.store.is_busy)

    def test_its_own_message_keeps_it_from_nothing(self) -> None:
        bench = self.bench(OFFLINE)
        client = self.text_client(bench)
        client.send("Connected")
        bench.settle()
        self.publish(bench, "on")
        self.assertEqual(client.take(), [b"on"])

    def test_what_a_publisher_has_not_proved_waits_for_the_next_one(self) -> None:
        for keep_data in (OFFLINE, ALWAYS):
            bench = self.bench(keep_data)
            publisher = self.text_client(bench)
            publisher.send("one")
            bench.settle()
            self.publish(bench, "two")
            self.assertEqual(publisher.take(), [b"two"])
            publisher.end()
            bench.settle()
            self.assertEqual(bench.store.waiting("c"), ["one", "two"])
            self.assertEqual(self.listener(bench).take(), [b"one", b"two"])

    def test_what_a_publisher_has_not_proved_goes_to_who_is_here(self) -> None:
        bench = self.bench(OFFLINE, text_receivers=1)
        publisher = self.text_client(bench)
        listener, by_command = self.listener(bench), bench.receiver()
        sender = self.text_client(bench)
        for text in ("1", "2", "3"):
            sender.send(text)
        self.assertEqual((publisher.take(), listener.take(), by_command.take()), ([b"1"], [b"2"], [3]))
        publisher.end()
        bench.settle()
        self.assertEqual([*listener.take(), *map(str, by_command.take())], [b"1"])

    def test_all_that_waits_goes_to_who_has_come_to_stay(self) -> None:
        bench = self.bench(OFFLINE, limit=1)
        passing = self.text_client(bench)
        self.publish(bench, "1", "2", "3")
        passing.end()
        bench.settle()
        passing, staying = self.text_client(bench), self.text_client(bench, is_receiver=True)
        bench.settle()
        self.assertEqual((passing.take(), staying.take()), ([], [b"1", b"2", b"3"]))

    def test_what_the_one_who_stays_has_sent_itself_holds_nothing_up(self) -> None:
        bench = self.bench(OFFLINE)
        staying = self.text_client(bench, is_receiver=True)
        staying.send("anybody?")
        bench.settle()
        passing = self.text_client(bench)
        self.publish(bench, "on")
        self.assertEqual((passing.take(), staying.take()), ([b"on"], [b"on"]))
        bench.beats(SILENT_BEATS)
        self.assertEqual(passing.take(), [b"anybody?"])

    def test_both_forms_count_as_memory(self) -> None:
        bench = self.bench(OFFLINE)
        client = self.text_client(bench, is_receiver=True)
        client.full = True
        bench.settle()
        self.publish(bench, "x" * 10_000)
        self.assertGreater(bench.broker.held_bytes, 20_000)

    def test_new_ones_go_behind_what_waits(self) -> None:
        bench = self.bench(OFFLINE)
        self.publish(bench, "one")
        client = self.text_client(bench)
        sender = bench.client()
        sender.send("two")
        bench.settle()
        self.assertEqual((client.take(), sender.confirmed), ([], []))
        bench.beats(SILENT_BEATS)
        self.assertEqual([text[-10:] for text in client.take()], [b"one", b'a":["two"]}'[-10:]])
        self.assertEqual(sender.unfinished, 0)

    def test_not_too_old(self) -> None:
        bench = self.bench(OFFLINE, expire_field="until")
        bench.beats(20)
        self.publish(bench, '{"until": 1}', '{"until": 9}', "no end")
        self.assertEqual(self.listener(bench).take(), [b'{"until": 9}', b"no end"])

    def test_a_sender_waits_for_room(self) -> None:
        bench = self.bench(OFFLINE)
        bench.broker.intake.use_limit(1_000)
        client = self.text_client(bench)
        client.send("x" * 2_000)
        self.assertTrue(client.paused)
        bench.settle()
        self.assertFalse(client.paused)

    def test_what_the_store_refuses_is_told_nobody(self) -> None:
        bench = self.bench(OFFLINE)
        bench.store.failing = StoreError(Code.UNAVAILABLE, "full")
        client = self.text_client(bench)
        client.send("x")
        bench.settle()
        self.assertEqual((client.take(), client.session.answers.refused), ([], 1))

    def test_what_is_left_in_memory_is_stored_when_the_broker_stops(self) -> None:
        bench = self.bench(OFFLINE)
        client = self.text_client(bench)
        self.publish(bench, "on")
        bench.broker.close()
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), ["on"])
        self.assertEqual(client.take(), [b"on"])
