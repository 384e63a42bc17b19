"""Who may what, on a running broker: the users are `qa`, `apr1` and `sha`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import LIMIT_S, BrokerProcess, environment, run_twistd
from tests.integration.raw_client import RawClient, basic, client_frame, command, opening

INI = """
[access]
group[] = gateways: apr1, sha
deny[] = sha receive sms
allow[] = qa send sms,dead.sms
allow[] = @gateways receive sms
allow[] = * send,receive user.{user}.*
receivers[] = qa 1
"""
REJECTED = b'{"command":"connect","response_code":"01","response_text":"Rejected",'
ACCEPTED = REJECTED.replace(b"01", b"00").replace(b"Rejected", b"Accepted")


class AccessTests(BrokerCase):
    def as_user(self, broker: BrokerProcess, user: str, *payloads: bytes) -> RawClient:
        """A connection of the user, whose greeting has not been read; `payloads` are its first frames."""
        frames = b"".join(map(client_frame, payloads))
        return self.client(broker, opening(authorization=basic(user)) + frames)

    def greeted(self, broker: BrokerProcess, user: str, *payloads: bytes) -> RawClient:
        client = self.as_user(broker, user, *payloads)
        self.assertTrue(client.read_text().startswith(ACCEPTED))
        return client

    def answer(self, client: RawClient, name: str, channel: str, **fields: object) -> Any:
        """What a command is answered that asks for a confirm."""
        client.send_text(command(name, channel, confirm=1, **fields))
        return client.read_json()

    def test_what_is_allowed(self) -> None:
        broker = self.broker(INI)
        receiver = self.greeted(broker, "apr1", command("receive-message", "sms"))
        sender = self.greeted(broker, "qa", sent := command("send-message", "sms", data=[1]))
        self.assertEqual(receiver.read_text(), sent)
        self.assertEqual(receiver.fence() + sender.fence(), [])
        self.assertIn("access list with 4 allow and deny lines", broker.log())

    def test_an_old_sender_s_greeting_says_that_it_is_refused(self) -> None:
        broker = self.broker(INI)
        receiver = self.greeted(broker, "apr1", command("receive-message", "sms"))
        for user, name, channel in (
            ("apr1", "send-message", "sms"),
            ("qa", "send-message", "SMS"),
            ("sha", "receive-message", "sms"),
            ("qa", "receive-message", "dead.sms"),
        ):
            client = self.as_user(broker, user, command(name, channel, data=[1]))
            self.assertTrue(client.read_text().startswith(REJECTED), (user, name, channel))
            self.assertEqual(client.fence(), [])
        self.assertEqual(receiver.fence(), [])

    def test_a_plain_client_sees_nothing_of_what_is_refused_later(self) -> None:
        broker = self.broker(INI)
        receiver = self.greeted(broker, "apr1", command("receive-message", "sms"))
        sha = self.greeted(broker, "sha", command("ping", "-"))
        sha.send_text(command("receive-message", "sms"))
        sha.publish("sms", 1)
        self.assertEqual(sha.fence(), [])
        sent = self.greeted(broker, "qa", command("ping", "-")).publish("sms", 2)
        self.assertEqual(receiver.read_text(), sent)
        self.assertEqual(receiver.fence() + sha.fence(), [])
        sha.close()
        receiver.close()
        broker.stop()
        self.assertIn("5 frames in, 2 refused", broker.log().partition("sha at")[2])

    def test_who_asks_for_answers_is_told_03(self) -> None:
        client = self.greeted(self.broker(INI), "apr1", command("ping", "-"))
        answer = self.answer(client, "send-message", "sms", data=[1])
        self.assertEqual((answer["command"], answer["response_code"]), ("confirm", "03"))
        self.assertEqual(answer["response_text"], "Forbidden: apr1 may not send on sms")
        client.publish("sms", 1)
        (error,) = map(json.loads, client.fence())
        self.assertEqual((error["command"], error["response_code"]), ("error", "03"))
        self.assertEqual(error["data"][0]["channel"], "sms")
        self.assertEqual(self.answer(client, "receive-message", "sms")["response_code"], "00")

    def test_a_user_s_own_channels(self) -> None:
        client = self.greeted(self.broker(INI), "qa", command("ping", "-"))
        for channel, code in (
            ("user.qa.x", "00"),
            ("user.sha.x", "03"),
            ("user.{user}.x", "03"),
            ("$events", "03"),
        ):
            for name in ("send-message", "receive-message"):
                self.assertEqual(self.answer(client, name, channel, data=[1])["response_code"], code, channel)

    def test_how_many_receivers(self) -> None:
        broker = self.broker(INI)
        receivers = [self.greeted(broker, "apr1", command("receive-message", "sms")) for _ in range(2)]
        sender = self.greeted(broker, "qa", command("ping", "-"))
        for number, code in ((1, "00"), (-1, "00"), (2, "03"), (0, "03"), ("0", "03")):
            answer = self.answer(sender, "send-message", "sms", data=[1], number_of_receiver=number)
            self.assertEqual(answer["response_code"], code, number)
        answer = self.answer(sender, "send-message", "sms", data=[1])
        self.assertEqual(answer["data"][0]["receivers"], 1)
        self.assertEqual(sum(len(receiver.fence()) for receiver in receivers), 3)

    def test_without_a_list_everyone_may_everything_and_the_start_says_so(self) -> None:
        broker = self.broker()
        receiver = self.greeted(broker, "sha", command("receive-message", "x"))
        sender = self.greeted(broker, "apr1", command("ping", "-"))
        sent = sender.publish("x", 1)
        self.assertEqual(receiver.read_text(), sent)
        # But for what is the broker's own.
        self.assertEqual(self.answer(sender, "send-message", "$x", data=[1])["response_code"], "03")
        self.assertIn("no access list: every user may send and receive on every channel", broker.log())

    def test_a_wrong_line_stops_the_start_and_explain(self) -> None:
        folder = self.folder()
        (folder / "wsmb.ini").write_text("[access]\nfile = access.conf\n")
        (folder / "access.conf").write_text("\nallow qa sms\n")
        (folder / "users").write_text("qa:x\n")
        ended = run_twistd(folder, "-n", "--pidfile=", "wsmb", "--config=wsmb.ini", "--htpasswd=users")
        explained = self.explain(folder / "wsmb.ini", "qa", "send", "sms")
        self.assertNotEqual(ended.returncode, 0)
        self.assertEqual(explained.returncode, 2)
        for text in (ended.stderr, explained.stderr):
            self.assertEqual(text.count("\n"), 1, text)
            self.assertIn(f"{folder}/access.conf line 2: allow: has 2 words", text)

    def test_explain_says_what_the_broker_does(self) -> None:
        broker = self.broker(INI)
        for user, action, channel, line in (
            ("qa", "send", "sms", "line 5: allow qa send sms,dead.sms"),
            ("sha", "receive", "sms", "line 4: deny sha receive sms"),
            ("apr1", "receive", "user.apr1.x", "line 7: allow * send,receive user.{user}.*"),
            ("apr1", "receive", "user.qa.x", "no line fits"),
        ):
            client = self.greeted(broker, user, command("ping", "-"))
            code = self.answer(client, f"{action}-message", channel, data=[])["response_code"]
            done = self.explain(broker.folder / "wsmb.ini", user, action, channel)
            self.assertIn(line, done.stdout)
            self.assertEqual({"00": 0, "03": 1}[code], done.returncode)

    def explain(self, config: object, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wsmb.cli.main", "access", "explain", *argv, f"--config={config}"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
