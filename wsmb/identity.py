"""Who a request comes from: by its certificate, or by what is to be checked."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ISSLTransport

from wsmb.settings import TlsUsers


def identified(
    transport: Any, users: TlsUsers, credentials: tuple[str, bytes] | None
) -> str | tuple[str, bytes] | None:
    """Who asks: the user that a certificate names, or (user, password) to be checked; None is nobody.

    `credentials`: what the request itself says.
    """
    if users is TlsUsers.PASSWORD or not ISSLTransport.providedBy(transport):
        return credentials
    from wsmb.tls import certificate_user  # noqa: PLC0415  # where there is no TLS, it stays out of memory

    if users is TlsUsers.CERTIFICATE:
        return certificate_user(transport)
    return credentials or certificate_user(transport)
