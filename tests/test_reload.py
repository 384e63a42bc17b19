"""Tests for wsmb.reload: what is read again when, and that all of it counts or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support_auth import HASH, OTHER_HASH, MemoryPool, MemoryReactor, write_file
from wsmb.auth import Authenticator
from wsmb.config import SettingsSource
from wsmb.reload import Reload
from wsmb.settings import Settings
from wsmb.user_files import UserFiles

INI = "[server]\nping_interval = 5\n[credential]\nhtpasswd = users\n"


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.write(INI)
        self.write(f"qa:{HASH}\nqb:{HASH}\n", "users")
        self.source = SettingsSource(config_file="ini", overrides={}, environ={}, cwd=str(self.folder))
        settings = self.source.load()
        self.reactor = MemoryReactor()
        self.users = Authenticator(
            UserFiles(settings.htpasswd_files),
            reactor=self.reactor,
            now=Clock().seconds,
            pool=MemoryPool(),  # type: ignore[arg-type]
        )
        self.withdrawn: list[set[str]] = []
        self.users.withdrawn = lambda users: self.withdrawn.append(set(users))
        self.used: list[Settings] = []
        self.reload = Reload(self.source, settings, self.users, self.used.append, self.reactor)

    def write(self, text: str, name: str = "ini") -> None:
        write_file(str(self.folder / name), text)

    def read(self) -> list[str]:
        """Read again; what the log says."""
        with capturedLogs() as events:
            self.reload.read()
            self.reactor.pool.run()
        return [formatEvent(one).replace(f"{self.folder}/", "") for one in events]

    def look(self, times: int = 2) -> list[str]:
        with capturedLogs() as events:
            for _ in range(times):
                self.reload.look()
                self.reactor.pool.run()
        return [formatEvent(one).replace(f"{self.folder}/", "") for one in events]

    def test_new_settings_are_taken(self) -> None:
        self.write(INI.replace("5", "7"))
        self.assertEqual(self.read(), ["settings read again; changed: [server] ping_interval"])
        self.assertEqual([one.ping_interval_s for one in self.used], [7.0])

    def test_nothing_has_changed(self) -> None:
        self.assertEqual(self.read(), ["settings read again; changed: nothing"])
        self.assertEqual(self.withdrawn, [])

    def test_what_needs_a_restart_is_said_each_time_and_the_rest_is_taken(self) -> None:
        self.write(INI.replace("5", "7\nlisten = tcp:9"))
        line = "needs a restart: [server] listen (ini line 3)"
        self.assertEqual(self.read(), ["settings read again; changed: [server] ping_interval", line])
        self.assertEqual(self.read(), ["settings read again; changed: nothing", line])
        self.assertEqual([one.listen for one in self.used], [("tcp:8888:interface=127.0.0.1",)] * 2)

    def test_without_a_database_it_keeps_nothing(self) -> None:
        self.write(INI.replace("5", "5\nkeep_data = true"))
        _, line = self.read()
        self.assertIn("needs a restart: [database], keep_data, which is false until then", line)
        self.assertFalse(self.used[0].keeps_data)

    def test_a_bad_file_changes_nothing_and_the_log_says_why(self) -> None:
        self.write(f"qa:{OTHER_HASH}\n", "others")
        bad = INI.replace("5", "7").replace("users", "others") + "[channel sms]\nlimit = many\n"
        self.write(bad)
        (line,) = self.read()
        self.assertIn(
            "the settings stay as they were. [channel sms] limit (ini line 6): 'many' cannot be", line
        )
        self.assertEqual((self.used, self.withdrawn), ([], []))

    def test_bad_users_change_nothing_either(self) -> None:
        self.write("# nobody\n", "others")
        self.write(INI.replace("5", "7").replace("users", "others"))
        (line,) = self.read()
        self.assertIn("others: no valid user", line)
        self.assertEqual((self.used, self.withdrawn), ([], []))

    def test_a_bad_access_list_changes_nothing_either(self) -> None:
        self.write("allow qa send sms\nallow everybody\n", "list")
        self.write(INI.replace("5", "7") + "[access]\nfile = list\n")
        (line,) = self.read()
        self.assertIn("list line 2", line)
        self.assertEqual(self.used, [])

    def test_other_users(self) -> None:
        self.write(f"qa:{HASH}\n", "others")
        self.write(INI.replace("users", "others"))
        self.assertIn("settings read again; changed: [credential] htpasswd", self.read())
        self.assertEqual(self.withdrawn, [{"qb"}])

    def test_users_go_before_what_the_others_may_do(self) -> None:
        seen: list[int] = []
        self.reload = Reload(
            self.source,
            self.source.load(),
            self.users,
            lambda _: seen.append(len(self.withdrawn)),
            self.reactor,
        )
        self.write(f"qa:{HASH}\n", "users")
        self.read()
        self.assertEqual(seen, [1])

    def test_new_warnings_are_said_once(self) -> None:
        self.write(INI + "[secret]\n")
        self.assertIn("[secret] (ini line 5): passed over", self.read()[-1])
        self.assertEqual(self.read(), ["settings read again; changed: nothing"])

    def test_a_changed_file_is_read_once_it_stays_as_it_is(self) -> None:
        self.assertEqual(self.look(), [])
        self.write(INI.replace("5", "7"))
        self.assertEqual(self.look(1), [])
        self.write(INI.replace("5", "8"))
        self.assertEqual(self.look(1), [])
        self.assertEqual(len(self.look(1)), 1)
        self.assertEqual([one.ping_interval_s for one in self.used], [8.0])
        self.assertEqual(self.look(), [])

    def test_a_bad_file_is_told_of_once_until_it_changes(self) -> None:
        self.write("nonsense")
        self.assertEqual((len(self.look()), self.look(5)), (1, []))
        os.remove(self.folder / "ini")
        self.assertIn("ini: cannot be read", self.look()[0])
        self.assertEqual(self.look(5), [])
        self.write(INI)
        self.assertEqual(self.look(), ["settings read again; changed: nothing"])

    def test_a_file_that_is_only_named_since_is_watched_as_well(self) -> None:
        self.write(INI + "[access]\nfile = list\n")
        self.assertIn("list", self.look()[0])
        self.write("allow qa send sms\n", "list")
        self.assertEqual(self.look(), ["settings read again; changed: [access]"])
        self.write("allow qa * sms\n", "list")
        self.assertEqual(self.look(), ["settings read again; changed: [access]"])

    def test_users_that_the_authenticator_reads_are_not_read_here(self) -> None:
        self.write(f"qa:{HASH}\n", "users")
        self.assertEqual(self.look(5), [])

    def test_asked_while_it_reads_it_reads_again(self) -> None:
        with capturedLogs() as events:
            for _ in range(3):
                self.reload.read()
                self.reload.look()
            self.reactor.pool.run()
        self.assertEqual(len(events), 2)

    def test_nothing_changes_after_the_stop(self) -> None:
        self.write(INI.replace("5", "7"))
        self.reload.read()
        self.reload.stop()
        self.reload.read()
        self.reactor.pool.run()
        self.assertEqual((self.used, self.look()), ([], []))
