"""The vocabulary of the tests of a running broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.broker_process import BrokerProcess
from tests.integration.php_like_client import PhpLikeClient
from tests.integration.raw_client import RawClient, command, connect


class BrokerCase(SynchronousTestCase):
    """Starts brokers and connects to them. What a test leaves running is stopped, and its log looked at."""

    def folder(self) -> Path:
        """A new folder of this test's own."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        return folder

    def broker(
        self,
        ini: str = "",
        *,
        database: str | None = None,
        keep_data: str | None = None,
        listen: Iterable[str] = (),
        extra_environment: Mapping[str, str] | None = None,
        under: Iterable[str] = (),
        pass_fds: Iterable[int] = (),
    ) -> BrokerProcess:
        """A running broker."""
        broker = BrokerProcess(
            self.folder(),
            ini=ini,
            database=database,
            keep_data=keep_data,
            listen=listen,
            extra_environment=extra_environment,
            under=under,
            pass_fds=pass_fds,
        )
        self.addCleanup(broker.stop)
        broker.start()
        return broker

    def client(
        self, broker: BrokerProcess, request: bytes | None = None, *, receive_buffer_bytes: int | None = None
    ) -> RawClient:
        """A connection that has said nothing yet."""
        client = RawClient(connect(broker.port, receive_buffer_bytes=receive_buffer_bytes), request)
        self.addCleanup(client.close)
        return client

    def sender(self, broker: BrokerProcess) -> RawClient:
        """A connection that has had its greeting."""
        return self.receiver(broker, "nobody sends here")

    def receiver(self, broker: BrokerProcess, *channels: str | int) -> RawClient:
        """A connection that receives on these channels, on which nothing waits, and has had its greeting."""
        client = self.client(broker)
        for channel in channels:
            client.send_text(command("receive-message", channel))
        # Were the first frame a ping, and this machine slow, its answer could be a second greeting.
        self.assertTrue(client.read_text().startswith(b'{"command":"connect","response_code":"00"'))
        self.assertEqual(client.fence(), [])
        return client

    def php_client(self, broker: BrokerProcess, request: bytes | None = None) -> PhpLikeClient:
        """A connection of the original's client."""
        client = PhpLikeClient(connect(broker.port), request)
        self.addCleanup(client.close)
        return client
