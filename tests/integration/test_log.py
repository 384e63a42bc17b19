"""What the log must not hold, at whatever level, and how much it holds at most."""

from __future__ import annotations

import re

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, PASSWORD, USER, BrokerProcess
from tests.integration.hostile_player import requests, streams
from tests.integration.raw_client import basic, client_frame, command, opening
from tests.mutations import Case, corpus

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
