"""Certificates of the tests' own."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates; its own is the file `ca.pem` of its folder."""

    def __init__(self, folder: Path, name: str = "tests") -> None:
        self.folder = folder
        self._name = name_of(f"authority of {name}")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(self._name, self._key.public_key(), is_authority=True)
        self.file = folder / f"ca of {name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def write(
        self,
        name: str,
        *,
        hosts: tuple[str, ...] = (),
        subject: x509.Name | None = None,
        valid_days: int = 1,
        file_name: str = "",
    ) -> tuple[Path, Path]:
        """The files of a key and of a certificate for the CN `name` and for `hosts`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(subject or name_of(name), key.public_key(), hosts, valid_days=valid_days)
        key_file, certificate_file = self.files(file_name or name)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return key_file, certificate_file

    def files(self, name: str) -> tuple[Path, Path]:
        """Where the two go."""
        return self.folder / f"{name}.key.pem", self.folder / f"{name}.pem"

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        hosts: tuple[str, ...] = (),
        *,
        valid_days: int = 1,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + valid_days * DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        # What RFC 5280 wants of both, and clients in Python 3.13 insist on.
        own = self._key.public_key()
        if is_authority:
            builder = builder.add_extension(_USAGE, critical=True).add_extension(
                x509.SubjectKeyIdentifier.from_public_key(own), critical=False
            )
        else:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False
            )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
