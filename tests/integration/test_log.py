"""What the log must not hold, at whatever level, and how much it holds at most."""

from __future__ import annotations

import re
import socket

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, PASSWORD, USER, BrokerProcess, run_twistd, write_users
from tests.integration.hostile_player import requests, streams
from tests.integration.raw_client import basic, client_frame, command, opening
from tests.mutations import Case, corpus
from wsmb.htpasswd import bcrypt_hash
from wsmb.log_bounds import MOST_FILES, MOST_LINES, ROTATE_BYTES

SECRET = "wr0ng-w0rd"
NAME = "\u202eqa\u2066"
BAD, BAD_LATIN_1 = "a\n\x1b[31m\u2028\x85b", "\x9b31m\xa0"
SETTINGS_OF_NAMES = """
[proxy]
trusted_proxies[] = 127.0.0.1
[access]
deny[] = * receive *
allow[] = * send *
"""
# Python runs this in a process that finds it on its path: all that Autobahn has to say is said.
ALL_LEVELS = """
import txaio
txaio.use_twisted()
txaio.set_global_log_level("trace")
txaio.make_logger().debug("at every level")
"""


class SecretTests(BrokerCase):
    def loud_broker(self) -> BrokerProcess:
        """A broker that logs at every level."""
        folder = self.folder()
        (folder / "sitecustomize.py").write_text(ALL_LEVELS)
        return self.broker(extra_environment={"PYTHONPATH": f"{folder}:{CHECKOUT}"})

    def test_no_credential_at_any_level(self) -> None:
        broker = self.loud_broker()
        offer = basic(USER, SECRET)[6:].rstrip("=")
        requests(
            broker.port,
            [
                Case("right", opening()),
                Case("wrong", opening(authorization=basic(USER, SECRET))),
                Case("twice", opening(headers=[f"Authorization: {basic(USER, SECRET)}"])),
                Case("bearer", opening(authorization=f"Bearer {SECRET}")),
                Case(
                    "browser",
                    opening(authorization="", headers=[f"Sec-WebSocket-Protocol: wsmb, basic.{offer}"]),
                ),
                Case("in the path", opening(path=f"/?token={SECRET}#{SECRET}")),
                Case("in a header that is none", opening(headers=[f"Authorization {SECRET}"])),
                Case("cut", opening()[:-10]),
                *corpus("requests"),
            ],
        )
        streams(broker.port, [*corpus("frames"), Case("a body", client_frame(command(SECRET, SECRET)))])
        broker.stop()
        log = broker.log()
        self.assertIn("at every level", log)
        hashes = re.findall(r":(.{20,})$", (broker.folder / "users").read_text(), re.MULTILINE)
        self.assertEqual(len(hashes), 3)
        for secret in (PASSWORD, SECRET, basic()[6:], basic(USER, SECRET)[6:].rstrip("="), "cWE6", *hashes):
            self.assertNotIn(secret, log)


class NameTests(BrokerCase):
    """No name can make up a line of the log, or have a terminal obey it."""

    def assert_plain(self, log: str) -> None:
        for line in log.split("\n"):
            self.assertTrue(line.isprintable(), repr(line))

    def test_of_users_channels_and_addresses(self) -> None:
        broker = BrokerProcess(self.folder(), ini=SETTINGS_OF_NAMES)
        with (broker.folder / "users").open("a") as users:
            users.write(f"{NAME}:{bcrypt_hash(PASSWORD.encode(), 4)}\n")
        self.addCleanup(broker.stop)
        broker.start()
        headers = ["X-Forwarded-For: 2001:db8::1%\x9b31m", f"User-Agent: {BAD_LATIN_1}"]
        client = self.client(broker, opening(authorization=basic(NAME), headers=headers))
        client.send_text(command("receive-message", BAD))
        client.fence()
        client.send(client_frame(b"", opcode=3))
        client.read_frame()
        client.close()
        wrong = opening(path=f"/?{BAD_LATIN_1}", authorization=basic(NAME + BAD[:2], SECRET), headers=headers)
        requests(broker.port, [Case("wrong", wrong), Case("right", opening(authorization=basic(NAME)))])
        broker.stop()
        log = broker.log()
        self.assert_plain(log)
        self.assertIn(r"\u202eqa\u2066 connected from 2001:db8::1 through ", log)
        self.assertIn(r"\u202eqa\u2066 at 2001:db8::1 through ", log)
        self.assertIn(r"\u202eqa\u2066 1 receive (last on 'a\n\x1b[31m\u2028\x85b')", log)


class BoundTests(BrokerCase):
    def test_a_flood_of_connections_frames_and_requests(self) -> None:
        broker = self.broker()
        good = Case("good", client_frame(b'{"command":"ping"}'))
        bad = Case("bad", client_frame(b"x", opcode=3))
        for _ in range(20):
            streams(broker.port, [good, bad] * 10)
            requests(broker.port, [Case("bad", b"nonsense\r\n\r\n")] * 20)
        broker.stop()
        kinds = (" connected from ", " left (", "failing WebSocket connection", "refused")
        found = [broker.log().count(kind) for kind in kinds]
        self.assertGreaterEqual(min(found[:2]), MOST_LINES)
        self.assertLess(max(found), 400)

    def test_old_log_files_are_removed(self) -> None:
        folder = self.folder()
        write_users(folder)
        (folder / "log").write_text("x" * ROTATE_BYTES)
        for number in range(1, 31):
            (folder / f"log.{number}").write_text("old\n")
        with socket.create_server(("127.0.0.1", 0)) as taken:  # so that it ends by itself
            port = taken.getsockname()[1]
            options = ("-n", "--pidfile=", "--logfile=log", "wsmb", "--htpasswd=users")
            run_twistd(folder, *options, f"--listen=tcp:{port}:interface=127.0.0.1")
        self.assertIn("cannot start", (folder / "log").read_text())
        self.assertEqual(len(list(folder.glob("log.*"))), MOST_FILES)
