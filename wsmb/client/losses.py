"""Why a connection on Twisted was not made or has ended, in words."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionDone, ConnectionLost, DNSLookupError, TimeoutError
from twisted.python.failure import Failure


def is_untrusted(failure: Failure) -> bool:
    """Whether it was ended since the broker's certificate is not good."""
    error = failure.value
    if isinstance(error, SSL.Error):
        reasons = error.args[0] if error.args else ()
        return any("certificate verify failed" in str(reason[-1]) for reason in reasons)
    return isinstance(error, VerificationError)


def describe(failure: Failure) -> str:
    """Why a connection was not made or has ended, in one line."""
    error = failure.value
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return text
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return "TLS: " + ", ".join(str(reason[-1]) for reason in error.args[0])
    # "Connection was refused by other side: 111: Connection refused."
    return " ".join(failure.getErrorMessage().split()).rpartition(": ")[2].rstrip(".")


_TEXTS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer"),
    (DNSLookupError, "no such host"),
    (ConnectionDone, "closed by the broker"),
    (ConnectionLost, "closed by the broker"),
    (VerificationError, "TLS: the certificate is for another host"),
)
