"""TLS at the door: certificates that are read again when they change, and users that have one.

Imported only where an `ssl:` endpoint is listened on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from wsmb.errors import SettingError
from wsmb.htpasswd import is_user_name
from wsmb.regular_file import read_regular
from wsmb.settings import TlsSettings, TlsUsers
from wsmb.stamps import Stamp, stamp

HTTP = b"http/1.1"

_log = Logger()


class TlsFiles(NamedTuple):
    """Absolute paths of files in PEM."""

    key: str
    certificate: str
    """The server's own first; those of the authorities between it and the root can follow."""
    chain: str = ""
    """Or these are here."""


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """Makes connections with the certificate as its files are now, or were when they were last good.

    Raises SettingError when it is made and they are not.
    """

    def __init__(
        self,
        files: TlsFiles,
        settings: TlsSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._files = files
        self._settings = settings
        self._now = now
        self._paths = tuple(filter(None, (*files, settings.client_ca)))
        self._trouble: tuple[Sequence[Stamp], str] | None = None
        self._until: datetime | None = None  # None once it has been told that it has passed
        self._stamps = self._stamped()
        self._context = self._read()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted's way to a new connection. Those that are there keep what they began with."""
        return SSL.Connection(self._context)

    def look(self) -> None:
        """Read the files again, if one has changed since they were read with success. To be called now and
        then."""
        stamps = self._stamped()
        if stamps != self._stamps:
            self._read_again(stamps)
        if self._until is not None:
            self._tell_once_passed(self._until)

    def _stamped(self) -> Sequence[Stamp]:
        return [stamp(path) for path in self._paths]

    def _read_again(self, stamps: Sequence[Stamp]) -> None:
        try:
            self._context = self._read()
        except SettingError as problem:
            # It is tried again, and told again only if there is something new about it.
            if (stamps, str(problem)) != self._trouble:
                _log.warn("TLS goes on with the certificate that it has. {problem}", problem=str(problem))
            self._trouble = stamps, str(problem)
        else:
            self._stamps, self._trouble = stamps, None

    def _read(self) -> SSL.Context:
        key = _load(self._files.key, lambda data: crypto.load_privatekey(crypto.FILETYPE_PEM, data, b""))
        certificate, *chain = _load(self._files.certificate, _certificates)
        if self._files.chain:
            chain += _load(self._files.chain, _certificates)
        client_ca = _load(self._settings.client_ca, _certificates) if self._asks_for_certificates else None
        try:
            context = CertificateOptions(
                privateKey=key,
                certificate=crypto.X509.from_cryptography(certificate),
                extraCertChain=[crypto.X509.from_cryptography(one) for one in chain],
                insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
                verify=client_ca is not None,
                caCerts=client_ca and [crypto.X509.from_cryptography(one) for one in client_ca],
                requireCertificate=self._settings.users is TlsUsers.CERTIFICATE,
            ).getContext()
        except SSL.Error:
            raise SettingError(
                f"{self._files.certificate} and the key in {self._files.key} do not belong together"
            ) from None
        context.set_alpn_select_callback(_select_protocol)
        self._until = certificate.not_valid_after_utc
        self._tell_once_passed(self._until)
        if self._until is not None:
            _log.info(
                "the certificate in {path} is valid until {until:%Y-%m-%d}",
                path=self._files.certificate,
                until=self._until,
            )
        return context

    def _tell_once_passed(self, until: datetime) -> None:
        if until < self._now():
            self._until = None
            _log.warn(
                "the certificate in {path} has expired on {until:%Y-%m-%d}",
                path=self._files.certificate,
                until=until,
            )

    @property
    def _asks_for_certificates(self) -> bool:
        return self._settings.users is not TlsUsers.PASSWORD


class TlsFactory(TLSMemoryBIOFactory):
    """Puts TLS between the connections and the broker's factory."""

    noisy = False

    def buildProtocol(self, addr: Any) -> Any:
        """Twisted's way to a new connection; see BrokerFactory.buildProtocol."""
        return None if self.wrappedFactory.turns_away() else super().buildProtocol(addr)


def certificate_user(transport: Any) -> str | None:
    """Whom the client's verified certificate names by its CN; None without, or with a strange one."""
    certificate = transport.getPeerCertificate()
    if certificate is None:
        return None
    names = certificate.to_cryptography().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    user = names[0].value if len(names) == 1 else None
    return user if isinstance(user, str) and is_user_name(user) else None


def _select_protocol(connection: Any, offered: Sequence[bytes]) -> Any:
    """What is spoken inside, if the client wants to know (ALPN), as browsers and curl do.

    Twisted's own answer is an empty name where the list has nothing that the factory names, which OpenSSL 4.0
    takes for an error. Without an answer the connection is made all the same.
    """
    return HTTP if HTTP in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _load(path: str, read: Any) -> Any:
    try:
        data = read_regular(path)
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return read(data)
    except (ValueError, TypeError, crypto.Error):
        # Their texts might quote a key.
        what = "private key without a password" if read is not _certificates else "certificate"
        raise SettingError(f"{path}: holds no {what} in PEM") from None


def _certificates(data: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(data)
