"""TLS at a running broker: versions, new certificates, certificates of users, names that clients check."""

from __future__ import annotations

import os
import ssl
import subprocess
from http.client import HTTPSConnection
from pathlib import Path

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import (
    LIMIT_S,
    PASSWORD,
    USER,
    BrokerProcess,
    environment,
    free_port,
    poll,
)
from tests.integration.raw_client import RawClient, basic, connect, opening
from tests.integration.test_cli import COMMAND
from tests.support_tls import Authority
from wsmb.client import BlockingClient

NOBODY = opening(authorization="")


class TlsCase(BrokerCase):
    def serve(
        self, ini: str = "", hosts: tuple[str, ...] = ("127.0.0.1",), *, has_http: bool = False
    ) -> BrokerProcess:
        """A broker on `self.port`, and `self.http_port`, with a certificate of `self.authority`."""
        self.port = free_port()
        self.authority = Authority(self.folder())
        key, certificate = self.authority.write("first", hosts=hosts, file_name="server")
        files = f"interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        if has_http:
            self.http_port = free_port()
            ini += f"[http]\nlisten = ssl:{self.http_port}:{files}\n"
        return self.broker(ini, listen=[f"ssl:{self.port}:{files}"])

    def context(self, *certificate: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if certificate:
            key, file = certificate
            context.load_cert_chain(file, key)
        return context

    def tls_socket(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        near = (context or self.context()).wrap_socket(connect(self.port), server_hostname="127.0.0.1")
        self.addCleanup(near.close)
        return near

    def tls_client(self, request: bytes, *certificate: Path) -> RawClient:
        return RawClient(self.tls_socket(self.context(*certificate)), request)

    def shown(self) -> str:
        """The CN of the certificate that a new connection gets."""
        with self.tls_socket() as near:
            subject = near.getpeercert()["subject"]  # type: ignore[index]
        return str(dict(pair for part in subject for pair in part)["commonName"])


class VersionTests(TlsCase):
    def test_1_2_and_above(self) -> None:
        self.serve()
        versions = []
        for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            try:
                versions.append(self.tls_socket(context).version())
            except ssl.SSLError as error:
                self.assertIn("PROTOCOL_VERSION", str(error))
        self.assertEqual(versions, ["TLSv1.2", "TLSv1.3"])

    def test_clients_that_say_what_they_speak_inside(self) -> None:
        """As browsers and curl do; on both sides."""
        self.serve(has_http=True)
        for port in (self.port, self.http_port):
            chosen = []
            for offered in (["h2", "http/1.1"], ["h2"], []):
                context = self.context()
                if offered:
                    context.set_alpn_protocols(offered)
                with context.wrap_socket(connect(port), server_hostname="127.0.0.1") as near:
                    chosen.append(near.selected_alpn_protocol())
                    near.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(near.recv(9), b"HTTP/1.1 ")
            self.assertEqual(chosen, ["http/1.1", None, None])

    def test_who_does_not_get_on_with_it_is_counted(self) -> None:
        broker = self.serve()
        for _ in range(3):
            with connect(self.port) as near:
                near.sendall(b"GET / HTTP/1.1\r\n\r\n")
                near.recv(100)
        broker.stop()
        self.assertIn("3 with TLS: http request", broker.log())

    def test_passwords_in_the_clear_are_warned_of(self) -> None:
        port = free_port()
        warning = f"passwords cross the network in the clear at tcp:{port}: listen with TLS"
        self.assertIn(warning, self.broker(listen=[f"tcp:{port}"]).log())
        self.assertNotIn("in the clear", self.serve().log())


class NewCertificateTests(TlsCase):
    def test_it_is_taken_and_no_connection_notices(self) -> None:
        broker = self.serve()
        client = self.tls_client(opening())
        client.read_text()
        self.assertEqual(self.shown(), "first")
        self.authority.write("second", hosts=("127.0.0.1",), file_name="server")
        poll(lambda: self.shown() == "second", "the new certificate")
        self.authority.files("server")[1].write_bytes(b"broken")
        poll(lambda: "TLS goes on with the certificate that it has" in broker.log(), "the warning")
        self.assertEqual((self.shown(), client.fence()), ("second", []))


class UserCertificateTests(TlsCase):
    """`alice` has a certificate, USER has a password."""

    def serve_users(self, mode: str) -> BrokerProcess:
        folder = self.folder()
        users = Authority(folder, "users")
        self.alice, self.strange = users.write("alice"), users.write("a:b")
        self.other = Authority(folder, "others").write("alice", file_name="other")
        return self.serve(f"[tls]\ntls_users = {mode}\ntls_client_ca = {users.file}\n", has_http=True)

    def http_status(self, *certificate: Path, password: str = "") -> int:
        """Of a request for what waits."""
        context = self.context(*certificate)
        connection = HTTPSConnection("127.0.0.1", self.http_port, timeout=LIMIT_S, context=context)
        self.addCleanup(connection.close)
        headers = {"Authorization": basic(USER, password)} if password else {}
        connection.request("GET", "/channels/sms", headers=headers)
        return connection.getresponse().status

    def assert_no_tls(self, *certificate: Path) -> None:
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            self.tls_client(opening(), *certificate)

    def test_certificate(self) -> None:
        broker = self.serve_users("certificate")
        for request in (NOBODY, opening(), opening(authorization=basic(USER, "wrong"))):
            self.assertEqual(self.tls_client(request, *self.alice).status, 101)
        self.assertEqual(broker.log().count("alice connected from"), 3)
        self.assertEqual(self.http_status(*self.alice), 200)
        self.assertEqual(self.http_status(*self.strange, password=PASSWORD), 401)
        self.assertEqual(self.tls_client(opening(), *self.strange).status, 401)
        self.assert_no_tls()
        self.assert_no_tls(*self.other)

    def test_both(self) -> None:
        broker = self.serve_users("both")
        self.assertEqual(self.tls_client(NOBODY, *self.alice).status, 101)
        self.assertEqual(self.tls_client(opening()).status, 101)
        self.assertEqual(self.tls_client(opening(), *self.alice).status, 101)
        self.assertEqual(broker.log().count("alice connected"), 1)
        self.assertEqual([self.http_status(*self.alice), self.http_status(password=PASSWORD)], [200, 200])
        self.assertEqual([self.http_status(), self.http_status(*self.alice, password="wrong")], [401, 401])
        for request in (NOBODY, opening(authorization=basic(USER, "wrong"))):
            self.assertEqual(self.tls_client(request).status, 401)
        self.assertEqual(self.tls_client(NOBODY, *self.strange).status, 401)
        self.assert_no_tls(*self.other)

    def test_password(self) -> None:
        self.serve_users("password")
        self.assertEqual(self.tls_client(NOBODY, *self.alice).status, 401)
        self.assertEqual(self.tls_client(opening(), *self.alice).status, 101)

    def test_a_client_in_python_shows_its_certificate(self) -> None:
        broker = self.serve_users("certificate")
        with BlockingClient(f"wss://127.0.0.1:{self.port}/", tls=self.context(*self.alice)) as client:
            self.assertTrue(client.ping())
        self.assertEqual(broker.log().count("alice connected from"), 1)

    def test_without_tls_it_is_passwords(self) -> None:
        broker = self.serve_users("certificate")
        self.assertEqual(self.client(broker).status, 101)
        self.assertEqual(self.client(broker, NOBODY).status, 401)


class ClientTests(TlsCase):
    """What `wsmb ping` does."""

    def ping(self, host: str, *, is_known: bool = True) -> tuple[int, str]:
        trusted = self.authority.file if is_known else os.devnull
        settings = {
            "SSL_CERT_FILE": str(trusted),
            "WSMB_URL": f"wss://{host}:{self.port}/",
            "WSMB_USER": USER,
            "WSMB_PASSWORD": PASSWORD,
        }
        ended = subprocess.run(
            [*COMMAND, "ping"],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        return ended.returncode, ended.stderr

    def test_the_right_name(self) -> None:
        self.serve(hosts=("localhost",))
        self.assertEqual(self.ping("localhost"), (0, ""))

    def test_a_wrong_name_is_refused(self) -> None:
        self.serve(hosts=("broker.example",))
        status, text = self.ping("localhost")
        self.assertNotEqual(status, 0)
        self.assertIn("certificate", text)

    def test_an_unknown_authority_is_refused(self) -> None:
        self.serve(hosts=("localhost",))
        self.assertNotEqual(self.ping("localhost", is_known=False)[0], 0)
