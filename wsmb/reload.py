"""Settings that change while the broker runs: read again, and taken as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb.auth import Authenticator
from wsmb.config import Loaded, SettingsSource
from wsmb.config.changes import Changes, compare
from wsmb.errors import SettingError
from wsmb.settings import Settings

LOOK_INTERVAL_S = 1.0
"""How often to look whether a file has changed."""
MOST_SHOWN = 20

_log = Logger()


class Reload:
    """Reads the settings again when it is told to, and when one of their files has changed.

    What is wrong with them is said in the log, and nothing changes then. The users are read with them:
    all or nothing. (That their own files change, the Authenticator sees by itself.) Files are read in
    the reactor's own thread pool.
    """

    def __init__(
        self,
        source: SettingsSource,
        settings: Settings,
        users: Authenticator,
        use: Callable[[Settings], None],
        reactor: Any,
    ) -> None:
        """`settings`: those of the start; `use` puts others into their place."""
        self._source = source
        self._settings = settings
        self._has_database = settings.keeps_data
        self._users = users
        self._use = use
        self._reactor = reactor
        self._seen = source.stamps
        self._is_reading = self._is_to_be_repeated = self._is_stopped = False

    def look(self) -> None:
        """Read again if a file has changed, once it stays as it is from one look to the next: it may be
        in the middle of being written. To be called every LOOK_INTERVAL_S."""
        if self._is_reading:
            return
        now = self._source.stamps_now()
        if now != self._source.stamps and now == self._seen:
            self.read()
        self._seen = now

    def read(self) -> None:
        """Read again now, whether anything has changed or not."""
        if self._is_reading:
            self._is_to_be_repeated = True
            return
        if self._is_stopped:
            return
        self._is_reading = True
        pool = self._reactor.getThreadPool()
        reading = deferToThreadPool(self._reactor, pool, self._source.load_all)
        taken = reading.addCallbacks(self._take, self._keep)
        taken.addErrback(lambda failure: _log.failure("new settings could not be taken", failure))
        taken.addCallback(self._go_on)

    def stop(self) -> None:
        """Change nothing any more."""
        self._is_stopped = True

    def _take(self, loaded: Loaded) -> None:
        if self._is_stopped:
            return
        running = self._settings
        changes = compare(running, loaded.settings, has_database=self._has_database)
        # First who is not to be here any more, then what those who are here may do.
        self._users.use(loaded.user_files, loaded.users)
        self._settings = changes.settings
        self._use(changes.settings)
        _tell(changes, tuple(one for one in loaded.settings.warnings if one not in running.warnings))

    def _keep(self, failure: Failure) -> None:
        error = failure.value
        # Of others the text might quote what they failed on.
        trouble = str(error) if isinstance(error, SettingError) else type(error).__name__
        _log.warn("the settings stay as they were. {trouble}", trouble=trouble)

    def _go_on(self, _: None) -> None:
        self._is_reading = False
        is_to_be_repeated, self._is_to_be_repeated = self._is_to_be_repeated, False
        if is_to_be_repeated:
            self.read()


def _tell(changes: Changes, warnings: tuple[str, ...]) -> None:
    _log.info("settings read again; changed: {changed}", changed=_shown(changes.taken) or "nothing")
    if changes.needs_restart:
        _log.warn("needs a restart: {settings}", settings=_shown(changes.needs_restart))
    for warning in warnings:
        _log.warn("{text}", text=warning)


def _shown(titles: tuple[str, ...]) -> str:
    further = len(titles) - MOST_SHOWN
    return ", ".join([*titles[:MOST_SHOWN], f"{further} others"] if further > 0 else titles)
