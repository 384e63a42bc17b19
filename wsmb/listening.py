"""Where the broker listens: endpoints of the settings' strings, and what is wrong with one."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, quoteStringArgument, serverFromString
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from wsmb.errors import SettingError
from wsmb.settings import Settings

if TYPE_CHECKING:
    from wsmb.tls import Certificates

BACKLOG = 1_024
"""50 is Twisted's own; when all clients reconnect at once, the others would wait a second, or, where a proxy
connects to a Unix socket, be told 502."""
MOST_ACCEPTS = 25
"""Connections that a port takes in one turn of the reactor, in which it reads what the last ones have sent.
Twisted takes 20 more each turn: requests that are there already would look like those of slow clients, of
whom an address may not have many, and everybody else would wait for all of them."""
_TLS_KEYS = {"privateKey", "certKey", "extraCertChain", "interface", "backlog"}


def endpoint(reactor: Any, text: str, place: str, settings: Settings) -> Any:
    """The endpoint of `text`, which stands at `place`. Raises SettingError.

    Paths in it are relative to the current directory.
    """
    kind = text.partition(":")[0]
    try:
        if kind == "ssl":
            return TlsEndpoint(reactor, text, settings)
        if kind in ("tcp", "tcp6", "unix") and ":backlog=" not in text:
            text += f":backlog={BACKLOG}"
        if kind == "unix" and not text.startswith("unix:/"):
            text = "unix:" + quoteStringArgument(os.getcwd() + "/") + text[len("unix:") :]
        return serverFromString(reactor, text)
    except Exception:  # the parsers of endpoint strings raise whatever comes to their mind
        raise SettingError(f"listen = {text} ({place}): {_problem(kind, Failure())}") from None


def _problem(kind: str, failure: Failure) -> str:
    """What is wrong with an endpoint of this kind, and what to do."""
    if kind == "systemd" and failure.check(LookupError):
        return "systemd has given no such socket; let a .socket unit start the broker, or write tcp:8888"
    remedy = "write it like tcp:8888 or tcp:8888:interface=127.0.0.1"
    if kind == "ssl":
        remedy = "write it like ssl:8443:privateKey=key.pem:certKey=fullchain.pem"
    return f"{reason(failure)}; {remedy}"


class TlsEndpoint:
    """`ssl:8443:privateKey=…:certKey=…`, as Twisted writes it; but its certificates can be read again."""

    def __init__(self, reactor: Any, text: str, settings: Settings) -> None:
        # Where there is no TLS, its half a megabyte is saved.
        from wsmb.tls import Certificates, TlsFiles  # noqa: PLC0415

        arguments, options = _arguments(text)
        unknown = options.keys() - _TLS_KEYS
        if unknown:
            raise SettingError(f"{', '.join(sorted(unknown))} is not known here")
        key = options.get("privateKey", "server.pem")
        files = (key, options.get("certKey", key), options.get("extraCertChain", ""))
        self.certificates: Certificates = Certificates(
            TlsFiles(*(path and os.path.abspath(path) for path in files)), settings.tls
        )
        self._clock = reactor
        self._tcp = TCP4ServerEndpoint(
            reactor,
            int(arguments[1]),
            backlog=int(options.get("backlog", BACKLOG)),
            interface=options.get("interface", ""),
        )

    def listen(self, factory: Any) -> Deferred[Any]:
        """See IStreamServerEndpoint."""
        from wsmb.tls import TlsFactory  # noqa: PLC0415

        certificates: Any = self.certificates  # zope's interfaces are not mypy's
        port: Deferred[Any] = self._tcp.listen(TlsFactory(certificates, False, factory, self._clock))
        return port


def accept_few(port: Any) -> Any:
    """Have a listening port of Twisted's take MOST_ACCEPTS connections a turn at most; returns it."""
    accept = port.doRead

    def accept_some() -> None:
        port.numberAccepts = min(port.numberAccepts, MOST_ACCEPTS)
        accept()

    port.doRead = accept_some
    return port


def _arguments(text: str) -> tuple[list[str], dict[str, str]]:
    r"""What stands between the colons of an endpoint: without and with a name (`\:` is a colon)."""
    arguments, options = [], {}
    for part in re.findall(r"(?:[^:\\]|\\.)+", text):
        name, equals, value = part.partition("=")
        plain = re.sub(r"\\(.)", r"\1", value if equals else name)
        if equals:
            options[name] = plain
        else:
            arguments.append(plain)
    return arguments, options


def in_the_clear(listen: Iterable[str]) -> list[str]:
    """Those of the endpoints on which passwords cross a network as they are."""
    return [text for text in listen if text.startswith(("tcp:", "tcp6:")) and not _is_local(text)]


def _is_local(text: str) -> bool:
    interface = _arguments(text)[1].get("interface", "")
    try:
        return interface == "localhost" or ip_address(interface).is_loopback
    except ValueError:
        return False


def clear_text_warning(settings: Settings) -> str:
    """What to say at the start about passwords that go over a network without TLS; empty if none does."""
    places = in_the_clear((*settings.listen, *settings.http_listen))
    if settings.trusted_proxies or not places:
        return ""
    return (
        f"passwords cross the network in the clear at {', '.join(places)}: listen with TLS (ssl:), or on"
        " interface=127.0.0.1 behind a proxy that has it, and name that in trusted_proxies"
    )


def reason(failure: Failure) -> str:
    """What has failed, on one line, with a remedy if there is one."""
    problem: Any = failure.value
    if isinstance(problem, CannotListenError):
        problem = problem.socketError
    text = getattr(problem, "strerror", None) or " ".join(str(problem).split()) or type(problem).__name__
    remedy = _REMEDIES.get(getattr(problem, "errno", 0))
    return f"{text}; {remedy}" if remedy else text


_REMEDIES = {
    errno.EADDRINUSE: "stop what listens there, or choose another port",
    errno.EACCES: "ports below 1024 are for root, or for systemd's socket activation",
}
