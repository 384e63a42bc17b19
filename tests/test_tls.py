"""Tests for wsmb.tls: files of certificates, read again when they change."""

from __future__ import annotations

import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from OpenSSL import crypto
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support_tls import Authority, name_of
from wsmb.errors import SettingError
from wsmb.settings import TlsSettings, TlsUsers
from wsmb.tls import Certificates, TlsFiles, certificate_user


class TlsCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.authority = Authority(folder)
        self.key, self.certificate = self.authority.write("first", file_name="server")

    def made(self, chain: str = "", settings: TlsSettings | None = None, **options: Any) -> Certificates:
        files = TlsFiles(str(self.key), str(self.certificate), chain)
        return Certificates(files, settings or TlsSettings(), **options)

    def name(self, certificates: Certificates) -> str:
        """The CN that a new connection would show."""
        shown = certificates.serverConnectionForTLS(None).get_certificate()
        assert shown is not None
        return str(shown.get_subject().CN)

    def looked(self, certificates: Certificates) -> list[str]:
        """What `look` logs."""
        with capturedLogs() as events:
            certificates.look()
        return [str(formatEvent(event)) for event in events]


class ReadAgainTests(TlsCase):
    def test_a_new_certificate_is_taken_and_its_end_told(self) -> None:
        certificates = self.made()
        self.assertEqual((self.name(certificates), self.looked(certificates)), ("first", []))
        self.authority.write("second", file_name="server")
        (line,) = self.looked(certificates)
        self.assertIn("valid until 2", line)
        self.assertEqual(self.name(certificates), "second")

    def test_what_is_broken_is_told_once_and_the_old_one_stays(self) -> None:
        certificates = self.made()
        for broken in (b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            self.certificate.write_bytes(broken)
            (line,) = self.looked(certificates)
            self.assertEqual(
                line,
                "TLS goes on with the certificate that it has. "
                f"{self.certificate}: holds no certificate in PEM",
            )
            self.assertEqual((self.name(certificates), self.looked(certificates)), ("first", []))

    def test_files_that_are_gone_and_come_back(self) -> None:
        certificates = self.made()
        os.remove(self.key)
        self.assertIn("cannot be read (No such file", self.looked(certificates)[0])
        self.assertEqual(self.name(certificates), "first")
        self.authority.write("second", file_name="server")
        self.looked(certificates)
        self.assertEqual(self.name(certificates), "second")

    def test_a_certificate_without_its_key_waits_for_it(self) -> None:
        certificates = self.made()
        new_key, new_certificate = self.authority.write("second")
        os.replace(new_certificate, self.certificate)
        self.assertIn("do not belong together", self.looked(certificates)[0])
        self.assertEqual(self.name(certificates), "first")
        os.replace(new_key, self.key)
        self.looked(certificates)
        self.assertEqual(self.name(certificates), "second")

    def test_what_failed_for_a_moment_is_tried_again(self) -> None:
        certificates = self.made()
        self.authority.write("second", file_name="server")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            lines = self.looked(certificates), self.looked(certificates)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assertIn("cannot be read (Too many open files)", lines[0][0])
        self.assertEqual((lines[1], self.name(certificates)), ([], "first"))
        self.looked(certificates)
        self.assertEqual(self.name(certificates), "second")

    def test_one_that_expires_while_it_is_in_use_is_told_once(self) -> None:
        now = datetime.now(UTC)
        certificates = self.made(now=lambda: now)
        now += timedelta(days=1, seconds=-10)
        self.assertEqual(self.looked(certificates), [])
        now += timedelta(seconds=20)
        self.assertIn("has expired on 2", self.looked(certificates)[0])
        self.assertEqual(self.looked(certificates), [])

    def test_one_that_has_expired_is_told(self) -> None:
        certificates = self.made()
        self.authority.write("old", file_name="server", valid_days=-1)
        self.assertIn("has expired on 2", self.looked(certificates)[0])


class FirstReadTests(TlsCase):
    def refusal(self, **options: object) -> str:
        with self.assertRaises(SettingError) as caught:
            self.made(**options)  # type: ignore[arg-type]
        return str(caught.exception)

    def test_what_is_broken_stops_the_start(self) -> None:
        self.key.write_bytes(b"x")
        self.assertEqual(self.refusal(), f"{self.key}: holds no private key without a password in PEM")
        os.remove(self.key)
        self.assertIn("cannot be read", self.refusal())
        os.mkfifo(self.key)
        self.assertEqual(self.refusal(), f"{self.key}: cannot be read (not a regular file)")

    def test_a_key_with_a_password_is_none(self) -> None:
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        locked = serialization.BestAvailableEncryption(b"s3cret")
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self.key.write_bytes(key.private_bytes(pem, form, locked))
        self.assertIn("without a password", self.refusal())

    def test_all_in_one_file(self) -> None:
        self.key.write_bytes(self.certificate.read_bytes() + self.key.read_bytes())
        self.certificate = self.key
        self.assertEqual(self.name(self.made()), "first")

    def test_the_file_of_client_certificates(self) -> None:
        settings = TlsSettings(TlsUsers.BOTH, str(self.authority.file))
        self.made(settings=settings)
        self.authority.file.write_bytes(b"")
        self.assertIn("holds no certificate", self.refusal(settings=settings))


class UserTests(SynchronousTestCase):
    def user(self, subject: x509.Name | None) -> str | None:
        folder = Path(self.mktemp())
        folder.mkdir()
        _, file = Authority(folder).write("x", subject=subject)
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, file.read_bytes())

        class Transport:
            def getPeerCertificate(self) -> crypto.X509 | None:
                return None if subject is None else certificate

        return certificate_user(Transport())

    def test_the_common_name(self) -> None:
        self.assertEqual(self.user(name_of("qa")), "qa")
        self.assertIsNone(self.user(None))

    def test_no_name_or_two_or_one_that_no_user_has(self) -> None:
        common, unit = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
        for parts in ([(unit, "qa")], [(common, "a"), (common, "b")], [(common, "a:b")], [(common, "a\nb")]):
            self.assertIsNone(self.user(x509.Name([x509.NameAttribute(*part) for part in parts])), parts)
