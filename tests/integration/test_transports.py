"""The same over every transport: TCP and Unix sockets, with their own kind of outbox, and TLS."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess, free_port
from tests.integration.raw_client import TIMEOUT_S, RawClient, command, connect

LARGE = "x" * 1_000_000
SIZES = [0, 10, 100, 200, 5_000, 70_000]


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """The files of a key and of a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wsmb's tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file


class TcpTests(BrokerCase):
    """What must be so over every transport."""

    def running(self) -> BrokerProcess:
        return self.broker()

    def socket(self, broker: BrokerProcess) -> socket.socket:
        return connect(broker.port)

    def entered(self, broker: BrokerProcess, *channels: str) -> RawClient:
        client = RawClient(self.socket(broker))
        self.addCleanup(client.close)
        for channel in channels:
            client.send_text(command("receive-message", channel))
        self.assertTrue(client.read_text().startswith(b'{"command":"connect","response_code":"00"'))
        return client

    def test_frames_of_all_sizes_to_two_receivers(self) -> None:
        broker = self.running()
        receivers = [self.entered(broker, "c") for _ in range(2)]
        sender = self.entered(broker)
        for receiver in receivers:
            receiver.fence()
        sent = [sender.publish("c", "x" * size) for size in SIZES * 20]
        for receiver in receivers:
            self.assertEqual([receiver.read_text() for _ in sent], sent)

    def test_a_receiver_that_reads_late_gets_everything(self) -> None:
        broker = self.running()
        receiver, sender = self.entered(broker, "c"), self.entered(broker)
        receiver.fence()
        sent = [sender.publish("c", number, LARGE) for number in range(8)]
        sender.fence()
        self.assertEqual([receiver.read_text() for _ in sent], sent)

    def test_a_receiver_that_never_reads_is_ended_and_the_others_go_on(self) -> None:
        broker = self.running()
        lazy, receiver, sender = self.entered(broker, "c"), self.entered(broker, "c"), self.entered(broker)
        lazy.fence()
        receiver.fence()
        for number in range(40):
            sent = sender.publish("c", number, LARGE)
            self.assertEqual(receiver.read_text(), sent)
        self.assertIn("does not read: ended", broker.log())


class TlsTests(TcpTests):
    def running(self) -> BrokerProcess:
        self.port = free_port()
        key, certificate = write_certificate(self.folder())
        self.context = ssl.create_default_context(cafile=str(certificate))
        return self.broker(
            listen=[f"ssl:{self.port}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"]
        )

    def socket(self, broker: BrokerProcess) -> socket.socket:
        return self.context.wrap_socket(connect(self.port), server_hostname="127.0.0.1")


class UnixTests(TcpTests):
    def running(self) -> BrokerProcess:
        # The path of a socket has 107 bytes at most.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/socket"
        return self.broker(listen=[f"unix:{self.path}"])

    def socket(self, broker: BrokerProcess) -> socket.socket:
        near = socket.socket(socket.AF_UNIX)
        near.settimeout(TIMEOUT_S)
        near.connect(self.path)
        return near
