"""One broker: its parts, opened in their order and closed in the other."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Generator, Mapping, Set
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from twisted.application import service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb import __version__, lean, listening, open_files  # noqa: F401  # lean works by being imported
from wsmb.auth import LOOK_INTERVAL_S, Authenticator
from wsmb.broker import Broker
from wsmb.config import SettingsSource
from wsmb.errors import SettingError
from wsmb.events import LOOK_S, Events
from wsmb.factory import BrokerFactory
from wsmb.interfaces import MessageStore
from wsmb.log_bounds import bound_log
from wsmb.notify import ALIVE, READY, STOPPING, Notifier
from wsmb.periodic import Periodic
from wsmb.pulse import BEATS_PER_SECOND
from wsmb.reload import Reload
from wsmb.settings import Settings
from wsmb.store import open_store
from wsmb.time_stamp import TimeStamp
from wsmb.user_files import UserFiles
from wsmb.webhooks import Webhooks

if TYPE_CHECKING:
    from wsmb.http.side import HttpSide

SWEEP_S = 1.0
TICK_S = 1.0 / BEATS_PER_SECOND
REPORT_S = 60.0
CERTIFICATES_S = 2.0
STOP_GRACE_S = WEBHOOK_GRACE_S = 2.0
HTTP_GRACE_S = 1.0
PROOF_S, PROOF_INTERVAL_S = 0.5, 0.02
COLLECT_AFTER = 5_000
"""So many objects more than before, and the collector looks for cycles among them. Messages that wait for
their commit are some thousands: with the 700 of Python 3.11 it looked at them again and again, in vain."""

_log = Logger()


class StartError(Exception):
    """The broker cannot start. What there is to say has been printed."""


class BrokerService(service.Service):
    """One broker: store, users, ports, opened in this order and closed in the other."""

    twistd_options: Mapping[str, Any] | None = None

    def __init__(self, settings: Settings, source: SettingsSource, reactor: Any, complaints: TextIO) -> None:
        """`source`: to read the settings again; `complaints`: where to print why it cannot start, closed
        once it has."""
        self._settings = settings
        self._source = source
        self._reactor = reactor
        self._complaints = complaints
        # Parsed here, before the change of directory and the fork: endpoint strings hold paths.
        self._endpoints = [
            (text, listening.endpoint(reactor, text, settings.listen_place, settings))
            for text in settings.listen
        ]
        self._http_endpoints = [
            (text, listening.endpoint(reactor, text, settings.http_place, settings))
            for text in settings.http_listen
        ]
        self._http: HttpSide | None = None
        self._notifier = Notifier(os.environ)
        self._ports: list[Any] = []
        self._periodic = Periodic(reactor)

    def setServiceParent(self, parent: Any) -> None:
        """Belong to twistd's application, which begins to log only after this."""
        super().setServiceParent(parent)
        bound_log(parent, self.twistd_options, self._settings.log_format)

    def privilegedStartService(self) -> None:
        """Open all that may fail, while ports below 1024 can be bound and failure can be reported."""
        try:
            self._open()
        except SettingError as problem:
            # Both: a daemon has nothing but its log, and who starts it should not have to look there.
            _log.error("cannot start: {problem}", problem=str(problem))
            print(f"wsmb: {problem}", file=self._complaints, flush=True)
            _hide_traceback()
            raise StartError(str(problem)) from None
        self._complaints.close()

    def _open(self) -> None:
        # Twisted's timers go by the wall clock: a step back would stall all of them.
        self._reactor.seconds = time.monotonic
        settings = self._settings
        self._users = Authenticator(
            UserFiles(settings.htpasswd_files, settings.htpasswd_lines),
            reactor=self._reactor,
            now=time.monotonic,
        )
        self._store = _open_store(settings, self._reactor)
        time_stamp = TimeStamp()
        self._broker = Broker(settings, self._store, self._reactor.callLater, time_stamp)
        self._broker.tick(time.time())
        self._webhooks = Webhooks(settings.webhooks, self._reactor)
        self._events = Events(self._broker, settings, self._webhooks.tell, boot=os.urandom(4).hex())
        self._factory = BrokerFactory(settings, self._broker, self._users, self._reactor, time_stamp)
        self._allow_files()
        self._users.withdrawn = self._withdraw
        self._reload = Reload(self._source, settings, self._users, self._use, self._reactor)
        for text, endpoint in self._endpoints:
            self._listen(text, settings.listen_place, endpoint, self._factory)
        if self._http_endpoints:
            # It takes memory, so only where it is wanted.
            from wsmb.http.side import HttpSide  # noqa: PLC0415

            self._http = HttpSide(self._factory, self._reactor, self._events, self._webhooks)
            for text, endpoint in self._http_endpoints:
                self._listen(text, settings.http_place, endpoint, self._http.site)

    def _allow_files(self) -> None:
        door, files = self._factory.door, open_files.allow_most()
        self._file_warning = open_files.warning(files, door.max_sockets)
        door.most_files = open_files.sockets(files)

    def _listen(self, text: str, place: str, endpoint: Any, factory: Any) -> None:
        failures: list[Failure] = []
        # Endpoints bind at once: a failure is there when this returns.
        ports = endpoint.listen(factory).addCallback(listening.accept_few)
        ports.addCallbacks(self._ports.append, failures.append)
        if failures:
            raise SettingError(f"listen = {text} ({place}): {listening.reason(failures[0])}")

    def startService(self) -> None:
        """Serve."""
        super().startService()
        clear_text = listening.clear_text_warning(self._settings)
        for warning in filter(None, (*self._settings.warnings, self._file_warning, clear_text)):
            _log.warn("{warning}", warning=warning)
        self._users.start()
        self._periodic.repeat(lambda: self._factory.sweep(time.monotonic()), SWEEP_S)
        self._periodic.repeat(self._users.look, LOOK_INTERVAL_S)
        self._periodic.repeat(self._reload.look, LOOK_INTERVAL_S)
        self._periodic.repeat(self._report, REPORT_S)
        self._periodic.repeat(self._tick, TICK_S)
        self._periodic.repeat(lambda: self._events.look(time.monotonic()), LOOK_S)
        if self._http is not None:
            self._periodic.repeat(self._http.sweep, SWEEP_S)
        for _, endpoint in (*self._endpoints, *self._http_endpoints):
            if isinstance(endpoint, listening.TlsEndpoint):
                self._periodic.repeat(endpoint.certificates.look, CERTIFICATES_S)
        _log.info(
            "wsmb {version} listens on {addresses}{http}; {kept}",
            version=__version__,
            addresses=", ".join(self._settings.listen),
            http="".join(f", serves HTTP on {text}" for text in self._settings.http_listen),
            kept=f"waiting messages are kept in {self._settings.database}"
            if self._settings.keeps_data
            else "no messages are kept",
        )
        self._tell_of_access()
        self._reactor.callWhenRunning(signal.signal, signal.SIGTERM, self._terminate)
        self._had_terminal = os.isatty(0)
        signal.signal(signal.SIGHUP, self._hang_up)
        _settle_memory()
        self._reactor.callWhenRunning(self._notifier.tell, READY)
        if self._notifier.interval_s:
            self._periodic.repeat(lambda: self._notifier.tell(ALIVE), self._notifier.interval_s)

    def _tell_of_access(self) -> None:
        access = self._settings.access
        if access is None:
            _log.warn("no access list: every user may send and receive on every channel (docs/security.md)")
        else:
            _log.info("access list with {count} allow and deny lines", count=len(access.rules))

    def _terminate(self, *_: object) -> None:
        # Twisted's own handler stops as well, but then ends the process by the signal: to a supervisor,
        # a stop that went well would look like a failure.
        self._reactor.callFromThread(self._stop_reactor)

    def _hang_up(self, *_: object) -> None:
        if self._had_terminal and not os.isatty(0):
            self._terminate()  # nobody asks for anything: the terminal that it was started from is gone
        else:
            self._reactor.callFromThread(self._reload.read)

    def _use(self, settings: Settings) -> None:
        """Settings have changed while it runs; those that cannot are as they were."""
        had_access, self._settings = self._settings.access, settings
        self._broker.use_settings(settings)
        self._factory.use_settings(settings)
        self._events.use_settings(settings)
        self._webhooks.use_settings(settings.webhooks)
        if settings.access != had_access:
            self._tell_of_access()

    def _withdraw(self, users: Set[str]) -> None:
        self._factory.withdraw(users)
        if self._http is not None:
            self._http.withdraw(users)

    def _stop_reactor(self) -> None:
        if self.running:
            self._reactor.stop()

    def _tick(self) -> None:
        self._broker.tick(time.time())
        self._factory.let_go_on(time.monotonic())

    def _report(self) -> None:
        self._factory.report_refusals()
        counts = self._broker.take_counts()
        if counts:
            text = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
            _log.info("items in the last minute: {counts}", counts=text)
        refused = self._store.stock.take_report()
        if refused:
            _log.warn("{refused}", refused=refused)
        lost = self._events.take_lost()
        if lost:
            _log.warn("{count} events could not be kept on $events, or told", count=lost)
        self._webhooks.report()

    @inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Take nothing new; commit what was taken, and what is unproved; then end the connections."""
        super().stopService()
        self._notifier.tell(STOPPING)
        self._reload.stop()
        yield DeferredList([maybeDeferred(port.stopListening) for port in self._ports])
        self._factory.stop_taking()
        yield self._proofs()
        if self._http is not None:
            self._http.close()
        self._broker.close()
        closed: Deferred[None] = Deferred()
        self._store.close(lambda: closed.callback(None))
        yield closed
        if self._http is not None:
            yield self._http.end_all(HTTP_GRACE_S)
        yield self._factory.end_all(self._settings.drain_seconds, STOP_GRACE_S)
        yield self._webhooks.stop(WEBHOOK_GRACE_S)
        self._periodic.stop()
        self._report()
        self._users.stop()
        _log.info("wsmb has stopped")

    def _proofs(self) -> Deferred[None]:
        """Fires when all that was sent is proved, or after PROOF_S."""
        proved: Deferred[None] = Deferred()
        deadline = self._reactor.seconds() + PROOF_S

        def look() -> None:
            if not self._factory.outstanding or self._reactor.seconds() >= deadline:
                proved.callback(None)
            else:
                self._reactor.callLater(PROOF_INTERVAL_S, look)

        look()
        return proved


def _settle_memory() -> None:
    """Give back what only the start needed, and let the collector pass over what stays for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    with suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)


def _hide_traceback() -> None:
    """Let a StartError end the process without a traceback below its one line."""
    default = sys.excepthook

    def brief(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        if not isinstance(value, StartError):
            default(kind, value, traceback)

    sys.excepthook = brief


def _open_store(settings: Settings, reactor: Any) -> MessageStore:
    try:
        return open_store(settings.database, reactor)
    except SettingError as problem:
        raise SettingError(f"{problem} (set by {settings.database.place or 'default'})") from None
