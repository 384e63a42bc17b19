"""Starting and stopping `twistd wsmb`, and what it says when it cannot start."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import (
    CHECKOUT,
    answers,
    free_port,
    listens,
    poll,
    run_twistd,
    write_users,
)
from tests.integration.mariadb import mariadb
from tests.integration.raw_client import RawClient, command, connect

SECRET = "s3cr3t-w0rd"
# Python runs this in a process that finds it on its path.
STEPPED_CLOCK = """
import os, time
real = time.time
time.time = lambda: real() - 3_600 * os.path.exists("an-hour-back")
"""


class FailedStartTests(BrokerCase):
    """One line that names the setting, its place and the remedy; no traceback, no secret."""

    def setUp(self) -> None:
        self.here = self.folder()
        write_users(self.here)

    def start(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_twistd(self.here, "-n", "--pidfile=", "wsmb", *arguments, extra_environment=environment)

    def assert_fails(self, *parts: str, arguments: tuple[str, ...], **environment: str) -> None:
        """The start fails with one line that has these `parts`."""
        ended = self.start(*arguments, **environment)
        self.assertNotIn(ended.returncode, (0, -signal.SIGTERM), ended)
        self.assertEqual(ended.stderr.count("\n"), 1, ended.stderr)
        for part in parts:
            self.assertIn(part, ended.stderr)
        for text in (ended.stdout, ended.stderr):
            self.assertNotIn("Traceback", text)
            self.assertNotIn(SECRET, text)

    def assert_config_fails(self, ini: str, *parts: str, **environment: str) -> None:
        (self.here / "wsmb.ini").write_text(ini)
        arguments = ("--config", "wsmb.ini", "--htpasswd", "users")
        self.assert_fails("wsmb.ini", *parts, arguments=arguments, **environment)

    def test_an_unknown_key(self) -> None:
        self.assert_config_fails("[server]\n\nprot = 1\n", "[server] prot", "line 3", "did you mean port?")

    def test_an_unknown_section(self) -> None:
        self.assert_config_fails("[servers]\nport = 1\n", "[servers]", "line 1", "did you mean server?")

    def test_a_bad_value(self) -> None:
        self.assert_config_fails("[server]\nport = 99999\n", "[server] port", "line 2", "1 to 65535")
        self.assert_fails("WSMB_PORT", "'x'", arguments=("--htpasswd", "users"), WSMB_PORT="x")
        arguments = ("--htpasswd", "users", "--keep-data", "perhaps")
        self.assert_fails("--keep-data", "perhaps", "always", arguments=arguments)

    def test_a_bad_value_that_may_be_a_secret_is_not_shown(self) -> None:
        self.assert_config_fails(f"[database]\nurl = mysq://u:{SECRET}@h/n\n", "[database] url", "line 2")
        self.assert_config_fails(f"[database]\npassword: {SECRET}\n", "line 2")

    def test_a_missing_configuration_file(self) -> None:
        self.assert_fails("--config", "absent.ini", "No such file", arguments=("--config", "absent.ini"))

    def test_no_htpasswd_file(self) -> None:
        self.assert_fails("htpasswd", "wsmb passwd FILE USER", "--htpasswd FILE", arguments=())
        self.assert_fails("absent", "does not exist", "wsmb passwd", arguments=("--htpasswd", "absent"))

    def test_an_htpasswd_file_without_users(self) -> None:
        (self.here / "empty").write_text("")
        self.assert_fails("empty", "no valid user", "wsmb passwd", arguments=("--htpasswd", "empty"))

    def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            arguments = ("--htpasswd", "users", "--listen", endpoint)
            self.assert_fails("listen", endpoint, "another port", arguments=arguments)

    def test_an_endpoint_that_is_none(self) -> None:
        arguments = ("--htpasswd", "users", "--listen", "tcp:many")
        self.assert_fails("listen", "tcp:many", "tcp:8888", arguments=arguments)

    def test_a_folder_for_the_database_that_is_not_there(self) -> None:
        arguments = ("--htpasswd", "users", "--database", "sqlite:///absent/kept.sqlite3")
        self.assert_fails("--database", "absent", "does not exist", arguments=arguments)

    def test_a_wrong_database_password(self) -> None:
        settings = mariadb().new_database(over_tcp=True)
        url = f"mysql://{settings.username}@{settings.host}:{settings.port}/{settings.name}"
        arguments = ("--htpasswd", "users", "--database", url)
        parts = ("[database]", settings.username, "check username, password")
        self.assert_fails(*parts, arguments=arguments, WSMB_DATABASE_PASSWORD=SECRET)

    def test_a_database_server_that_is_not_there(self) -> None:
        port = str(free_port())
        arguments = ("--htpasswd", "users", "--database", f"mysql://u@127.0.0.1:{port}/n")
        self.assert_fails("[database]", port, arguments=arguments, WSMB_DATABASE_PASSWORD=SECRET)

    def test_an_unknown_option(self) -> None:
        ended = self.start("--port", "8888")
        self.assertNotEqual(ended.returncode, 0)
        self.assertNotIn("Traceback", ended.stdout + ended.stderr)


class StartAndStopTests(BrokerCase):
    def test_twistd_lists_it(self) -> None:
        ended = run_twistd(self.folder(), "--help")
        self.assertEqual(ended.returncode, 0)
        self.assertRegex(ended.stdout, r"\n    wsmb +A WebSocket message broker\.")

    def test_it_explains_its_options(self) -> None:
        ended = run_twistd(self.folder(), "wsmb", "--help")
        self.assertEqual(ended.returncode, 0)
        for option in ("--config=", "--listen=", "--htpasswd=", "--database=", "--keep-data="):
            self.assertIn(option, ended.stdout)

    def test_it_stops_while_connections_are_open(self) -> None:
        broker = self.broker()
        clients = [self.receiver(broker, "sms") for _ in range(20)]
        broker.stop()
        self.assertEqual([client.read_to_end() for client in clients], [b""] * 20)
        self.assertFalse(listens(broker.port))

    def test_it_starts_again_on_the_same_port_at_once(self) -> None:
        broker = self.broker()
        for end in (broker.kill9, broker.stop):
            self.receiver(broker, "sms")
            end()
            broker.start()

    def test_its_log_has_a_line_for_each_start_and_each_connection(self) -> None:
        broker = self.broker()
        self.receiver(broker, "sms").close()
        broker.stop()
        for line in (r"wsmb \S+ listens on .*127\.0\.0\.1", "qa connected from", "qa at .* left"):
            self.assertRegex(broker.log(), line)

    def test_the_command_line_goes_before_the_file(self) -> None:
        port = free_port()
        broker = self.broker(f"[server]\nlisten = tcp:{port}:interface=127.0.0.1\n")
        self.assertTrue(listens(broker.port))
        self.assertFalse(listens(port))


class ClockTests(BrokerCase):
    def test_a_step_back_of_the_clock_stops_no_timer(self) -> None:
        """Twisted's timers go by the wall clock, unless it is told otherwise."""
        folder = self.folder()
        (folder / "sitecustomize.py").write_text(STEPPED_CLOCK)
        broker = self.broker(extra_environment={"PYTHONPATH": f"{folder}:{CHECKOUT}"})
        (broker.folder / "an-hour-back").touch()
        client = self.client(broker)
        greeting = client.read_json()  # which comes by a timer
        half_an_hour_ago = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 1_800))
        self.assertLess(greeting["data"][0]["time_stamp"], half_an_hour_ago)
        self.assertEqual(client.fence(), [])


class DaemonTests(BrokerCase):
    """In the background, with a pid file and a log file."""

    def start(self, here: Path, *arguments: str) -> int:
        """Start a daemon; its process id."""
        ended = run_twistd(here, *arguments)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        poll((here / "wsmb.pid").exists, "the pid file")
        pid = int((here / "wsmb.pid").read_text())
        self.addCleanup(self.end, pid, signal.SIGKILL)
        return pid

    def end(self, pid: int, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)

    def is_gone(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # In a container nobody may be there to bury it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    def test_relative_paths_are_relative_to_where_it_was_started(self) -> None:
        here, port, second_port = self.folder(), free_port(), free_port()
        (here / "elsewhere").mkdir()
        write_users(here)
        (here / "wsmb.ini").write_text(
            f"[server]\nlisten[] = tcp:{port}:interface=127.0.0.1\n"
            f"listen[] = tcp:{second_port}:interface=127.0.0.1\nkeep_data = true\n"
            "[database]\ndriver = sqlite\nname = kept.sqlite3\n[credential]\nhtpasswd = users\n"
        )
        twistd = ("--pidfile=wsmb.pid", "--logfile=wsmb.log", "--rundir=elsewhere")
        pid = self.start(here, *twistd, "wsmb", "--config=wsmb.ini")
        poll(lambda: answers(port) and answers(second_port), "the daemon to serve")
        sender = RawClient(connect(port))
        self.addCleanup(sender.close)
        sender.send_text(command("send-message", "sms", data=[1]))
        self.assertEqual(sender.read_json()["response_code"], "00")
        self.end(pid, signal.SIGTERM)
        poll(lambda: self.is_gone(pid), "the daemon's end")
        self.assertIn("wsmb has stopped", (here / "wsmb.log").read_text())
        self.assertNotIn("Traceback", (here / "wsmb.log").read_text())
        self.assertTrue((here / "kept.sqlite3").exists())
        self.assertFalse((here / "wsmb.pid").exists())
        self.assertEqual(list((here / "elsewhere").iterdir()), [])

    def test_absolute_paths_and_a_port_in_use(self) -> None:
        here = self.folder()
        users = write_users(here)
        twistd = (f"--pidfile={here / 'wsmb.pid'}", f"--logfile={here / 'wsmb.log'}", "--rundir=/")
        endpoint = f"--listen=tcp:{free_port()}:interface=127.0.0.1"
        self.start(here, *twistd, "wsmb", f"--htpasswd={users}", endpoint)
        second = run_twistd(
            here, "--pidfile=2.pid", "--logfile=2.log", "wsmb", f"--htpasswd={users}", endpoint
        )
        self.assertNotEqual(second.returncode, 0)
        first_line, *others = second.stderr.splitlines()
        self.assertIn("another port", first_line)
        # These two are from twistd itself: a part of the same text, and where the log is.
        self.assertEqual([line[:11] for line in others], ["An error ha", "Please look"])
        self.assertNotIn("Traceback", (here / "2.log").read_text())
