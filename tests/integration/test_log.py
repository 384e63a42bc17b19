"""What the log must not hold, at whatever level, and how much it holds at most."""

from __future__ import annotations

import re
import socket

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, PASSWORD, USER, BrokerProcess, run_twistd, write_users
from tests.integration.hostile_player import requests, streams
from tests.integration.raw_client import basic, client_frame, command, opening
from tests.mutations import Case, corpus
from wsmb.log_bounds import MOST_FILES, MOST_LINES, ROTATE_BYTES

SECRET = "wr0ng-w0rd"
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
