"""Tests for wsmb.config.changes: what is taken while the broker runs, and what needs a restart."""

from __future__ import annotations

from dataclasses import fields

from tests.support_config import SECRET, ConfigCase
from wsmb.config.changes import FIXED, Changes, compare, differences
from wsmb.settings import KeepData, Settings

KEPT = "[server]\nkeep_data = true\n"
ONE_OF_EACH = f"""\
[server]
listen = tcp:1
path = /b
allowed_origins[] = https://a.example
number_of_receiver = 1
receiver_choice = oldest
keep_data = always
delay_send = 5
ack_timeout = 5
max_deliveries = 5
dead_letter_channel = d
expire_after = 5
expire_field = e
max_frame_bytes = 2048
max_outstanding_bytes = 65536
max_outstanding_frames = 5
max_buffer_bytes = 1048577
drain_seconds = 5
ping_interval = 5
ping_timeout = 5
handshake_timeout = 5
[database]
url = mysql://u:{SECRET}@h/n
limit = 5
[credential]
source = config
data[] = u:{SECRET}
[access]
allow[] = * * *
[http]
listen = tcp:2
[limits]
max_connections = 7
max_waiting_items_per_channel = 7
max_waiting_bytes_per_channel = 7
[proxy]
trusted_proxies[] = 10.0.0.0/8
proxy_protocol = true
[events]
no_receiver_seconds = 5
waiting_items = 6
receiver_events = true
webhook = https://hooks.example/
webhook_secret = whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz
[log]
format = json
"""


class ChangesTests(ConfigCase):
    def compare(
        self, before: str, after: str, *, has_database: bool = True, **overrides: object
    ) -> tuple[Settings, Changes]:
        running, wanted = self.load(before, **overrides), self.load(after, **overrides)
        return wanted, compare(running, wanted, has_database=has_database)

    def test_nothing(self) -> None:
        wanted, changes = self.compare(KEPT, f"; a comment\n{KEPT}")
        self.assertEqual(changes, Changes(wanted, (), ()))

    def test_the_lines_of_an_access_list_have_moved(self) -> None:
        text = "[access]\nallow[] = a send b\n"
        wanted, changes = self.compare(text, f"\n{text}")
        self.assertEqual((changes.settings.access, changes.taken), (wanted.access, ("[access]",)))

    def test_what_is_taken(self) -> None:
        after = "[server]\nkeep_data = always\nping_interval = 5\n[channel sms]\nlimit = 3\n"
        wanted, changes = self.compare(KEPT, after)
        self.assertEqual(changes.settings, wanted)
        self.assertEqual(changes.taken, ("[server] ping_interval", "[server] keep_data", "[channel sms]"))
        self.assertEqual(changes.needs_restart, ())

    def test_a_section_that_is_new_or_gone_or_different(self) -> None:
        before = "[channel a]\nlimit = 1\n[channel b]\nlimit = 1\n[channel c]\n"
        after = "[channel b]\nlimit = 2\nack_timeout = 7\n[channel c]\n[channel d]\n"
        _, changes = self.compare(before, after)
        expected = ("[channel a]", "[channel b] limit", "[channel b] ack_timeout", "[channel d]")
        self.assertEqual(changes.taken, expected)

    def test_where_it_listens_needs_a_restart(self) -> None:
        after = "[server]\nping_interval = 5\nlisten = tcp:9\n"
        _, changes = self.compare("[server]\nlisten = tcp:8\n", after)
        self.assertEqual((changes.settings.listen, changes.settings.ping_interval_s), (("tcp:8",), 5.0))
        self.assertEqual(changes.taken, ("[server] ping_interval",))
        self.assertEqual(changes.needs_restart, (f"[server] listen ({self.file} line 3)",))

    def test_the_database_needs_a_restart_and_all_is_kept_in_the_old_one(self) -> None:
        old, new = (
            "[database]\nurl = sqlite:///a\n",
            "[database]\nurl = sqlite:///b\n[channel c]\nkeep_data=always\n",
        )
        _, changes = self.compare(old, new)
        self.assertTrue(changes.settings.database.path.endswith("/a"))
        self.assertIs(changes.settings.channel("c").keep_data, KeepData.ALWAYS)
        self.assertEqual(changes.taken, ("[channel c]",))
        self.assertEqual(changes.needs_restart, (f"[database] ({self.file} line 2)",))

    def test_another_password_of_the_database_is_not_shown(self) -> None:
        old, new = (f"[database]\nurl = mysql://u:{word}@h/n\n" for word in (SECRET, SECRET[1:]))
        _, changes = self.compare(old, new)
        self.assertEqual(changes.needs_restart, (f"[database] ({self.file} line 2)",))

    def test_without_a_database_nothing_is_kept_before_a_restart(self) -> None:
        after = "[server]\nping_interval = 5\n[channel c]\nkeep_data = always\n"
        _, changes = self.compare("", after, has_database=False)
        self.assertFalse(changes.settings.keeps_data)
        self.assertEqual(changes.taken, ("[server] ping_interval", "[channel c]"))
        self.assertEqual(len(changes.needs_restart), 2)
        self.assertIn("keep_data, which is false until then", changes.needs_restart[1])

    def test_without_a_database_what_is_to_be_in_memory_is_kept_at_once(self) -> None:
        _, changes = self.compare("", "[database]\nurl = memory:\n", has_database=False)
        self.assertTrue(changes.settings.keeps_data)
        self.assertEqual((changes.taken, changes.needs_restart), (("[server] keep_data",), ()))

    def test_nothing_kept_and_kept_again_is_the_same_database(self) -> None:
        _, off = self.compare(KEPT, "[server]\nkeep_data = false\n")
        self.assertEqual(off.needs_restart, ())
        on = compare(off.settings, self.load(KEPT), has_database=True)
        self.assertEqual((on.taken, on.needs_restart), (("[server] keep_data",), ()))

    def test_every_setting_is_seen_and_no_value_is_shown(self) -> None:
        default, other = self.load(""), self.load_bare(ONE_OF_EACH)
        titles = list(differences(default, other))
        compared = [field.name for field in fields(Settings) if field.compare]
        for name in compared:
            if name not in ("channels", "warnings", "tls"):  # which needs files
                self.assertNotEqual(getattr(default, name), getattr(other, name), name)
        self.assertEqual(len(titles), len(set(titles)))
        keys = [line.partition("=")[0].strip(" []") for line in ONE_OF_EACH.splitlines() if "=" in line]
        listed = " ".join(titles)
        for key in keys:
            if key not in ("url", "source", "allow", "max_connections"):
                self.assertIn(f"] {key}", listed)
        for section in ("[database]", "[access]", "[limits]"):
            self.assertIn(section, titles)
        self.assertNotIn(SECRET, listed)
        fixed = [getattr(compare(default, other, has_database=True).settings, name) for name in FIXED]
        self.assertEqual(fixed, [getattr(default, name) for name in FIXED])
