"""TLS to MySQL and MariaDB."""

from __future__ import annotations

import ssl

from wsmb.settings import DatabaseTls, TlsCheck


def tls_context(tls: DatabaseTls) -> ssl.SSLContext:
    """What PyMySQL wraps its socket with. OSError or ssl.SSLError if the file of authorities is unusable."""
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    # The certificates that MySQL makes for itself do not say what RFC 5280 wants them to.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = tls.check is TlsCheck.NAME
    if tls.check is TlsCheck.NOTHING:
        context.verify_mode = ssl.CERT_NONE
    return context
