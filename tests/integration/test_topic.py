"""The channel in the URL, on a running broker: the whole family on one channel, and callers and answers."""

from __future__ import annotations

import json
import select
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.integration import family
from tests.integration.broker_process import LIMIT_S, PASSWORD, USER, BrokerProcess, poll
from tests.integration.family import (
    CallbackReader,
    CommandLine,
    Esp32,
    InPage,
    InPython,
    Member,
    PhpReceiver,
    Sent,
)
from tests.integration.javascript_case import JavascriptCase, Site
from tests.integration.raw_client import RawClient, client_frame, connect, opening
from tests.integration.test_cli import CommandCase
from wsmb.client import BlockingClient

KEPT = "[channel kept]\nkeep_data = true\n"


class FamilyTests(CommandCase, JavascriptCase):
    """Eight kinds of clients at once on one channel."""

    def ours(self, broker: BrokerProcess, site: Site, client: BlockingClient, channel: str) -> dict[str, Any]:
        """Our own clients, receiving on the channel."""
        ours: dict[str, family.Ours] = {
            "wsmb receive": CommandLine(self.started(broker.port, "receive", channel)),
            "Python": InPython(client, channel),
            "a page": InPage(site, channel, client),
        }

        def all_have_heard() -> bool:
            family.publish(broker, channel, b"0", b"0")
            return all(one.has_heard() for one in ours.values())

        poll(all_have_heard, "our own clients")
        family.publish(broker, channel, b"1", b"1")
        for one in ours.values():
            while one.next()[-1] == 0:
                pass
        return ours

    def test_each_gets_what_it_should(self) -> None:
        site = self.site()
        broker = self.broker(f"[server]\nallowed_origins = {site.origin}\n{KEPT}")
        told = {"url": f"ws://127.0.0.1:{broker.port}/", "user": USER, "password": PASSWORD}
        page = urlencode({**told, "channels": "sms,kept"})
        self.browse(f"{site.origin}/tests/javascript/family_member.html?{page}")
        client = BlockingClient(**told)
        client.connect()
        self.addCleanup(client.close)
        for channel in ("sms", "kept"):
            self.each_gets_what_it_should(broker, self.ours(broker, site, client, channel), channel)

    def each_gets_what_it_should(self, broker: BrokerProcess, ours: dict[str, Any], channel: str) -> None:
        members = {
            **ours,
            "PHP": PhpReceiver(broker, channel),
            "WSClient": family.ws_client(broker, channel),
            "Java": family.java_client(broker, channel),
        }
        esp32 = Esp32(broker, channel)
        self.assert_heard(members, esp32.greeting)
        members["ESP32"] = esp32
        for name, send in self.senders(broker, channel, members).items():
            reader = CallbackReader(broker, channel)
            esp32.ping()
            sent = send()
            self.assert_heard({**members, "a callback reader": reader}, sent, but=name)
        self.assertEqual(esp32.pongs, esp32.pinged - 1)  # it has not read on since it spoke last

    def senders(
        self, broker: BrokerProcess, channel: str, members: dict[str, Any]
    ) -> dict[str, Callable[[], Sent]]:
        """What each says; the ESP32 last."""
        return {
            "PHP's sender": lambda: family.php_send(broker, channel, {"receiver": "0812", "message": "é/"}),
            "WSClient": lambda: members["WSClient"].send({"a": [1]}),
            "Java": lambda: members["Java"].send("from Java"),
            "a page": lambda: self.overheard(broker, channel, {"n": 1}, members["a page"].send),
            "Python": lambda: self.overheard(broker, channel, {"é": [1.5]}, members["Python"].send),
            "wsmb send": lambda: self.overheard(
                broker,
                channel,
                {"from": "a shell"},
                lambda item: self.assert_sent(broker, channel, json.dumps(item)),
            ),
            "a publisher": lambda: family.publish(broker, channel, b"on", b'"on"'),
            "one in PHP": lambda: family.publish_binary(broker, channel, b' {"a" : 1}\n', b'{"a" : 1}'),
            "ESP32": lambda: members["ESP32"].send('{"°C": 21.5}'.encode(), '{"°C": 21.5}'.encode()),
        }

    def overheard(
        self, broker: BrokerProcess, channel: str, item: object, send: Callable[[object], None]
    ) -> Sent:
        """Send it in a way that does not show the frame."""
        spy = family.ws_client(broker, channel)
        send(item)
        frame = spy.client.read_text()
        spy.close()
        self.assertEqual(json.loads(frame)["data"], [item])
        return family.sent_as_command(frame)

    def assert_heard(self, members: dict[str, Member], sent: Sent, but: str = "") -> None:
        for name, member in members.items():
            if name != but:
                self.assertTrue(member.hears(sent), f"{name} has not got {sent}")


class CallerTests(CommandCase):
    def test_callers_and_publishers(self) -> None:
        broker = self.broker()
        for query in ("", "&role=receiver"):
            self.the_answer_is_sent_before_its_channel_is_opened(broker, query)
        self.publishers_that_close_with_unread_bytes_are_heard(broker)

    def the_answer_is_sent_before_its_channel_is_opened(self, broker: BrokerProcess, query: str) -> None:
        first = family.publish(broker, "answer", b"42", b"42")
        second = family.publish(broker, "answer", b'{"ok":true}', b'{"ok":true}')
        reader = RawClient(connect(broker.port), opening(path=f"/?topic=answer{query}"))
        self.assertEqual([reader.read_text(), reader.read_text()], [first.text, second.text])
        reader.close()

    def publishers_that_close_with_unread_bytes_are_heard(self, broker: BrokerProcess) -> None:
        receiver = self.receiver(broker, "busy")
        chatter = RawClient(connect(broker.port), opening(path="/?topic=busy"))
        self.addCleanup(chatter.close)
        for number in range(1, 21):
            publisher = RawClient(connect(broker.port), opening(path="/?topic=busy"))
            chatter.send_text(b"0")
            select.select([publisher.socket], [], [], LIMIT_S)
            publisher.send(client_frame(b"%d" % number))
            publisher.close()  # with a RST, since it has read nothing
            self.assertEqual(receiver.read_items(2), [0, number])

    def test_what_is_kept_says_the_same_after_a_restart(self) -> None:
        broker = self.broker(KEPT, database=f"sqlite:///{self.folder()}/data.sqlite")
        family.publish(broker, "kept", b"on", b'"on"')
        family.publish(broker, "kept", '{"°C": 21.5}'.encode(), b"")
        sender = self.sender(broker)
        sender.publish("kept", "by command", [2])
        sender.fence()
        broker.stop()
        broker.start()
        reader = RawClient(connect(broker.port), opening(path="/?topic=kept"))
        self.addCleanup(reader.close)
        texts = [reader.read_text() for _ in range(4)]
        self.assertEqual([texts[0], texts[2], texts[3]], [b"on", b"by command", b"[2]"])
        self.assertEqual(json.loads(texts[1]), {"°C": 21.5})
