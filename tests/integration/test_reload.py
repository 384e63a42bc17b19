"""Settings and access lists that change while a broker runs; the users are `qa`, `apr1` and `sha`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

from tests.integration.broker_process import (
    TIED,
    BrokerProcess,
    answers,
    environment,
    free_port,
    poll,
    run_twistd,
    write_users,
)
from tests.integration.raw_client import RawClient, command, connect
from tests.integration.reload_case import ReloadCase, replace_text

KEEPING = "[server]\nkeep_data = true\n"
ALWAYS = "[server]\nkeep_data = always\n"
ACCESS = "[access]\nallow[] = * send *\nallow[] = {} receive sms\n"


class SignalTests(ReloadCase):
    def test_a_good_file_counts_at_once_and_nobody_notices(self) -> None:
        broker = self.broker(KEEPING)
        receivers = [self.receiver(broker, "sms") for _ in range(2)]
        sender = self.sender(broker)
        self.hang_up(broker, "[server]\nkeep_data = true\nnumber_of_receiver = 1\n")
        self.assertIn("changed: [server] number_of_receiver", broker.log())
        sender.publish("sms", 1)
        self.assertEqual(sender.fence(), [])
        self.assertEqual(sum(len(receiver.fence()) for receiver in receivers), 1)

    def test_a_bad_file_changes_nothing_and_the_log_says_why(self) -> None:
        broker = self.broker(KEEPING)
        receivers = [self.receiver(broker, "sms") for _ in range(2)]
        self.write(
            broker, "[server]\nkeep_data = true\nnumber_of_receiver = 1\n[channel sms]\nlimit = many\n"
        )
        broker.hang_up()
        self.logged(broker, "the settings stay as they were")
        self.assertIn("[channel sms] limit (", broker.log())
        self.assertIn(" line 5): 'many' cannot be used", broker.log())
        sender = self.sender(broker)
        sent = sender.publish("sms", 1)
        self.assertEqual([receiver.read_text() for receiver in receivers], [sent, sent])

    def test_what_needs_a_restart_is_said(self) -> None:
        broker = self.broker()
        self.hang_up(broker, ALWAYS)
        self.assertIn("needs a restart: [database], keep_data, which is false until then", broker.log())
        sender = self.sender(broker)
        sender.send_text(command("send-message", "sms", data=[1], confirm=1))
        self.assertEqual(sender.read_json()["data"][0]["stored"], 0)

    def test_many_signals_at_once(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        for _ in range(50):
            broker.hang_up()
        self.hang_up(broker, "[server]\nping_interval = 7\n")
        self.logged(broker, "changed: [server] ping_interval")
        self.assertEqual(receiver.fence(), [])

    def test_a_channel_switched_to_always(self) -> None:
        broker = self.broker(KEEPING)
        receiver, sender = self.receiver(broker, "sms"), self.sender(broker)
        self.hang_up(broker, ALWAYS)
        sender.send_text(sent := command("send-message", "sms", data=["kept"], confirm=1))
        self.assertEqual(sender.read_json()["data"][0]["stored"], 1)
        self.assertEqual(receiver.read_text(), sent)
        broker.kill9()
        broker.start()
        self.assertEqual(self.receiving(broker, "sms").read_items(1), ["kept"])

    def receiving(self, broker: BrokerProcess, channel: str) -> RawClient:
        client = self.client(broker)
        client.send_text(command("receive-message", channel))
        self.assertEqual(client.read_json()["response_code"], "00")
        return client

    def test_a_channel_that_is_to_keep_nothing_loses_nothing(self) -> None:
        broker = self.broker(KEEPING)
        sender = self.sender(broker)
        for number in range(500):
            sender.publish("sms", number)
        sender.fence()
        receiver = self.receiving(broker, "sms")
        items = receiver.read_items(10)
        self.hang_up(broker, "[server]\nkeep_data = false\n")
        items += receiver.read_items(500 - len(items))
        self.assertEqual(items, list(range(500)))
        self.hang_up(broker, KEEPING)
        sender.publish("sms", "kept")
        self.assertEqual(receiver.read_items(1), ["kept"])


class AccessTests(ReloadCase):
    def test_a_permission_taken_away_counts_at_once(self) -> None:
        broker = self.broker(ACCESS.format("apr1"))
        loses = self.as_user(broker, "apr1", command("receive-message", "sms"))
        self.hang_up(broker, ACCESS.format("sha"))
        sender = self.as_user(broker, "qa", command("ping", "-"))
        sender.publish("sms", 1)
        self.assertEqual(sender.fence() + loses.fence(), [])
        gains = self.as_user(broker, "sha", command("receive-message", "sms"))
        sent = sender.publish("sms", 2)
        self.assertEqual((gains.read_text(), loses.fence()), (sent, []))

    def test_a_file_of_its_own_is_watched(self) -> None:
        folder = self.folder()
        list_file = folder / "access.conf"
        list_file.write_text("allow * send *\nallow apr1 receive sms\n")
        broker = self.broker(f"[access]\nfile = {list_file}\n")
        client = self.as_user(broker, "apr1", command("receive-message", "sms"))
        client.send_text(command("leave-channel", "-"))  # from now on it is told of errors
        replace_text(list_file, "allow * send *\nallow everybody\n")
        self.logged(broker, f"{list_file} line 2")
        self.assertEqual(client.fence(), [])
        replace_text(list_file, "allow * send *\n")
        self.assertEqual(json.loads(client.read_text())["response_code"], "03")
        self.assertIn("access list with 1 allow and deny lines", broker.log())

    def test_a_list_that_is_new(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        self.hang_up(broker, ACCESS.format("qa"))
        sender = self.as_user(broker, "apr1", command("ping", "-"))
        sent = sender.publish("sms", 1)
        self.assertEqual(receiver.read_text(), sent)
        sender.send_text(command("receive-message", "sms", confirm=1))
        self.assertEqual(sender.read_json()["response_code"], "03")


class ProcessTests(ReloadCase):
    """As a daemon, and in a terminal."""

    def test_a_daemon_started_with_relative_paths(self) -> None:
        here, port = self.folder(), free_port()
        (here / "elsewhere").mkdir()
        write_users(here)
        text = f"[server]\nlisten = tcp:{port}:interface=127.0.0.1\n[credential]\nhtpasswd = users\n"
        text += "[access]\nfile = access.conf\n"
        (here / "wsmb.ini").write_text(text)
        (here / "access.conf").write_text("allow * * *\n")
        twistd = ("--pidfile=wsmb.pid", "--logfile=wsmb.log", "--rundir=elsewhere")
        ended = run_twistd(here, *twistd, "wsmb", "--config=wsmb.ini")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        poll((here / "wsmb.pid").exists, "the pid file")
        pid = int((here / "wsmb.pid").read_text())
        self.addCleanup(self.kill, pid)
        poll(lambda: answers(port), "the daemon to serve")
        client = RawClient(connect(port))
        self.addCleanup(client.close)
        log = here / "wsmb.log"
        (here / "wsmb.ini").write_text(f"{text}[channel sms]\nlimit = 3\n")
        os.kill(pid, signal.SIGHUP)
        poll(lambda: "changed: [channel sms]" in log.read_text(), "SIGHUP")
        (here / "access.conf").write_text("allow * * a\n")
        poll(lambda: "changed: [access]" in log.read_text(), "the changed list")
        (here / "users").write_text((here / "users").read_text().replace("qa:", "qz:"))
        client.read_to_end()
        self.assertIn("removed, or with another password: qa; 1 of their", log.read_text())
        self.assertNotIn("Traceback", log.read_text())

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def test_the_end_of_its_terminal_ends_it(self) -> None:
        here, port = self.folder(), free_port()
        users = write_users(here)
        master, slave = pty.openpty()
        with (here / "log").open("ab") as log:
            twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
            endpoint = f"--listen=tcp:{port}:interface=127.0.0.1"
            broker = subprocess.Popen(
                [*TIED, *twistd, "-n", "--pidfile=", "wsmb", f"--htpasswd={users}", endpoint],
                cwd=here,
                env=environment(),
                stdin=slave,
                stdout=log,
                stderr=log,
            )
        self.addCleanup(broker.wait)
        self.addCleanup(broker.kill)
        os.close(slave)
        poll(lambda: answers(port), "the broker to serve")
        broker.send_signal(signal.SIGHUP)
        poll(lambda: "settings read again" in (here / "log").read_text(), "SIGHUP while it has its terminal")
        os.close(master)
        broker.send_signal(signal.SIGHUP)
        self.assertEqual(broker.wait(30), 0)
        self.assertIn("wsmb has stopped", (here / "log").read_text())
