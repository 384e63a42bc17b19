"""The vocabulary of the tests of a broker whose files change while it runs."""

from __future__ import annotations

from pathlib import Path

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess, poll
from tests.integration.raw_client import RawClient, basic, client_frame, opening


def replace_text(file: Path, text: str) -> None:
    """As a careful editor does it."""
    new = file.with_name(file.name + ".new")
    new.write_text(text)
    new.replace(file)


class ReloadCase(BrokerCase):
    def write(self, broker: BrokerProcess, ini: str) -> None:
        replace_text(broker.folder / "wsmb.ini", ini)

    def remove_user(self, broker: BrokerProcess, name: str) -> None:
        users = broker.folder / "users"
        lines = users.read_text().splitlines(keepends=True)
        replace_text(users, "".join(line for line in lines if not line.startswith(f"{name}:")))

    def logged(self, broker: BrokerProcess, text: str, times: int = 1) -> None:
        poll(lambda: broker.log().count(text) >= times, text)

    def hang_up(self, broker: BrokerProcess, ini: str) -> None:
        """Change the configuration, say so, and wait until the broker has it."""
        before = broker.log().count("settings read again")
        self.write(broker, ini)
        broker.hang_up()
        self.logged(broker, "settings read again", before + 1)

    def as_user(self, broker: BrokerProcess, user: str, *payloads: bytes) -> RawClient:
        """A connection of the user, whose greeting has been read; `payloads` are its first frames."""
        frames = b"".join(map(client_frame, payloads))
        client = self.client(broker, opening(authorization=basic(user)) + frames)
        self.assertEqual(client.read_json()["response_code"], "00")
        return client
