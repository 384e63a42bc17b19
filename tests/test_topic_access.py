"""Who may send and receive with the channel in the URL; and an access list that changes meanwhile."""

from __future__ import annotations

from tests.support_topics import TopicCase
from tests.test_access import rule
from tests.test_proof import Bench
from wsmb.access import AccessRules, ReceiverLimit, Rule
from wsmb.settings import Limits, Settings
from wsmb.topic_session import QUIET_BEATS, SILENT_BEATS

ALL = rule(True, "*", "send receive", "*")
NO_SEND = (rule(False, "qa", "send", "c"), ALL)
NO_RECEIVE = (rule(False, "qa", "receive", "c"), ALL)
NOTHING = (rule(False, "qa", "send receive", "c"), ALL)


def use(bench: Bench, *rules: Rule, **limits: int) -> None:
    found = (ReceiverLimit("", "", frozenset({user}), most) for user, most in limits.items())
    bench.broker.use_access(AccessRules(rules, tuple(found)))


class AccessTests(TopicCase):
    def test_who_may_not_send_just_receives(self) -> None:
        bench = self.bench()
        use(bench, *NO_SEND)
        client, other = self.listener(bench), self.listener(bench, user="other")
        client.send("refused")
        other.send("on")
        self.assertEqual((client.take(), other.take()), ([b"on"], []))
        self.assertEqual(client.session.answers.refused, 1)
        self.assertEqual(bench.broker.forbidden.take(), "qa 1 send (last on 'c')")

    def test_who_may_not_receive_just_sends(self) -> None:
        bench = self.bench()
        use(bench, *NO_RECEIVE)
        client, other = self.listener(bench), self.listener(bench, user="other")
        client.send("on")
        other.send("secret")
        bench.beats(20)
        self.assertEqual((client.take(), other.take()), ([], [b"on"]))

    def test_who_may_not_receive_takes_no_room(self) -> None:
        bench = self.bench()
        use(bench, *NO_RECEIVE)
        client = self.listener(bench)
        client.send("on")
        self.assertEqual(len(bench.broker.channels), 0)
        self.assertEqual(self.text_client(bench, user="other", is_receiver=True).take(), [b"on"])

    def test_another_list_takes_effect_at_once(self) -> None:
        bench = self.bench()
        client, other = self.listener(bench), self.listener(bench, user="other")
        third = self.listener(bench, user="third")  # so that nothing waits for somebody to come
        use(bench, *NO_RECEIVE)
        other.send("secret")
        client.send("on")
        use(bench, *NO_SEND)
        client.send("refused")
        other.send("off")
        use(bench, *NOTHING)
        other.send("secret")
        bench.broker.use_access(None)
        client.send("at last")
        self.assertEqual((client.take(), other.take()), ([b"off"], [b"on", b"at last"]))
        self.assertEqual(third.take(), [b"secret", b"on", b"off", b"secret", b"at last"])

    def test_who_may_receive_again_is_what_it_was(self) -> None:
        bench = self.bench()
        client = self.text_client(bench)
        client.send("Connected")
        listener = self.listener(bench, user="other")
        use(bench, *NOTHING)
        listener.send("on")
        bench.broker.use_access(None)
        self.assertEqual((client.take(), listener.take()), ([], [b"Connected"]))
        bench.beats(QUIET_BEATS - SILENT_BEATS)
        self.assertEqual(client.take(), [b"on"])

    def test_a_limit_of_receivers(self) -> None:
        bench = self.bench()
        use(bench, ALL, qa=2)
        listeners = [self.listener(bench) for _ in range(4)]
        self.publish(bench, "on")
        self.assertEqual(sum(len(client.take()) for client in listeners), 2)


class RoomTests(TopicCase):
    def test_one_channel_too_many_is_not_received_on(self) -> None:
        bench = self.bench()
        bench.broker.use_settings(Settings(listen=(), limits=Limits(max_channels=1)))
        client, late = self.listener(bench), self.listener(bench, channel="d")
        self.assertEqual((len(bench.broker.channels), bench.broker.channels.has_room("c")), (1, True))
        bench.broker.use_access(None)
        self.assertEqual(len(bench.broker.channels), 1)
        client.end()
        late.end()
        self.assertEqual(len(bench.broker.channels), 0)
