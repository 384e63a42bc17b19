"""Single settings of the server, and what is wrong with files, names and values."""

import os

from tests.support_config import SECRET, ConfigCase
from wsmb.config import load_settings
from wsmb.errors import SettingError
from wsmb.settings import KeepData


class ValueTests(ConfigCase):
    def kept(self, text: str) -> KeepData:
        return self.load(f"[server]\nkeep_data={text}").default_channel.keep_data

    def test_keep_data(self):
        for texts, expected in (
            ("true TRUE on Yes 1 offline 'on'", KeepData.OFFLINE),
            ('false Off no 0 none NULL ""', KeepData.NEVER),
            ("always Always", KeepData.ALWAYS),
        ):
            for text in texts.split():
                with self.subTest(text=text):
                    self.assertIs(self.kept(text), expected)
        self.assertIs(self.kept(""), KeepData.NEVER)
        self.assertEqual(
            self.refusal(keep_data="maybe"),
            "[server] keep_data (--keep-data): 'maybe' cannot be used; give false, true, always or offline",
        )

    def test_sign_of_number_of_receiver_is_ignored_with_a_warning(self):
        ini = "[server]\nnumber_of_receiver = -2"
        self.assertEqual(self.load(ini).default_channel.number_of_receiver, 2)
        [warning] = self.warnings(ini)
        self.assertIn("[server] number_of_receiver (wsmb.ini line 2): the sign is ignored", warning)

    def test_limit_0_is_1_with_a_warning(self):
        self.assertEqual(self.load("[database]\nlimit=0").default_channel.limit, 1)
        [warning] = self.warnings("[channel x]\nlimit=0")
        self.assertEqual(warning, "[channel x] limit (wsmb.ini line 2): 0 is taken as 1; write 1")

    def test_refused_values(self):
        for ini, setting, remedy in (
            ("[server]\nport=x", "[server] port", "from 1 to 65535"),
            ("[server]\nport=0", "[server] port", "from 1 to 65535"),
            ("[server]\nport=65536", "[server] port", "from 1 to 65535"),
            ("[server]\nport=1_0", "[server] port", "from 1 to 65535"),
            ("[server]\npath=x", "[server] path", "begins with /"),
            ("[server]\npath=/x?y", "[server] path", "begins with /"),
            ("[server]\nallowed_origins=https://a/b", "[server] allowed_origins", "https://shop.example"),
            ("[server]\nnumber_of_receiver=two", "[server] number_of_receiver", "whole number"),
            ("[server]\nnumber_of_receiver=--2", "[server] number_of_receiver", "whole number"),
            ("[server]\nreceiver_choice=any", "[server] receiver_choice", "round-robin or oldest"),
            ("[server]\ndelay_send=-1", "[server] delay_send", "whole number"),
            ("[server]\nmax_frame_bytes=10", "[server] max_frame_bytes", "from 1024"),
            ("[server]\nping_interval=0.5", "[server] ping_interval", "or 0 for never"),
            ("[server]\nping_timeout=2.9", "[server] ping_timeout", "seconds from 3"),
            ("[server]\nping_timeout=0", "[server] ping_timeout", "seconds from 3"),
            ("[server]\nhandshake_timeout=2", "[server] handshake_timeout", "seconds from 3"),
            ("[server]\nhandshake_timeout=nan", "[server] handshake_timeout", "seconds from 3"),
            ("[database]\ndriver=x", "[database] driver", "pgsql, postgresql, sqlite or memory"),
            ("[database]\nprefix=a-b", "[database] prefix", "letters, digits"),
            ("[database]\nprefix=" + "a" * 61, "[database] prefix", "at most 60"),
            ("[database]\nlimit=-1", "[database] limit", "whole number"),
            ("[credential]\nsource=db", "[credential] source", "file or config"),
            ("[limits]\nmax_waiting_items=-1", "[limits] max_waiting_items", "whole number"),
            ("[limits]\nmin_free_disk_bytes=5%", "[limits] min_free_disk_bytes", "0 for no floor, or auto"),
            ("[channel a]\nlimit=x", "[channel a] limit", "whole number"),
        ):
            with self.subTest(ini=ini):
                text = self.refusal(ini)
                self.assertTrue(text.startswith(f"{setting} (wsmb.ini line 2): "), text)
                self.assertIn(remedy, text)

    def test_what_may_wait_in_all_and_on_a_channel(self):
        given = "max_waiting_items_per_channel = 5"
        settings = self.load(
            f"[limits]\n{given}\nmax_waiting_bytes = 0\n[channel a]\n{given}0\n[channel b]\n"
        )
        limits = [settings.channel(name).max_waiting_items_per_channel for name in "abc"]
        self.assertEqual((limits, settings.limits.max_waiting_bytes), ([50, 5, 5], 0))

    def test_the_floor_of_free_disk(self):
        for text, expected in (("auto", None), ("AUTO", None), ("0", 0), ("123456789012", 123456789012)):
            settings = self.load(f"[limits]\nmin_free_disk_bytes = {text}")
            self.assertEqual(settings.limits.min_free_disk_bytes, expected)

    def test_prefix_of_60_characters(self):
        prefix = "a$_" * 20
        self.assertEqual(self.load(f"[database]\nprefix={prefix}", keep_data="1").database.prefix, prefix)

    def test_outstanding_bytes_hold_a_frame(self):
        text = self.refusal("[server]\nmax_frame_bytes=2000\nmax_outstanding_bytes=1999")
        self.assertTrue(text.startswith("[server] max_outstanding_bytes (wsmb.ini line 3): "), text)
        self.assertIn("give at least 2000", text)
        self.assertIn(
            "(environment WSMB_MAX_FRAME_BYTES)", self.refusal(env={"WSMB_MAX_FRAME_BYTES": "20000000"})
        )

    def test_one_value_given_as_a_list(self):
        self.assertEqual(self.load("[server]\nport[]=99").listen, ("tcp:99",))
        text = self.refusal("[server]\nport[]=98\nport[]=99")
        self.assertEqual(text, "[server] port (wsmb.ini line 3): takes one value; write port = value, once")

    def test_given_again(self):
        ini = "[server]\nport=98\nport=99"
        self.assertEqual(self.load(ini).listen, ("tcp:99",))
        self.assertIn("[server] port (wsmb.ini line 3): given again", self.warnings(ini)[0])


class NameTests(ConfigCase):
    def test_unknown_key(self):
        for ini, expected in (
            ("[server]\nprot=1", "[server] prot (wsmb.ini line 2): unknown setting; did you mean port?"),
            ("[server]\nPort=1", "[server] Port (wsmb.ini line 2): unknown setting; did you mean port?"),
            (
                "[server]\nlimit=1",
                "[server] limit (wsmb.ini line 2): does not belong here; put it under [database]",
            ),
            (
                "[channel a]\nlimits=1",
                "[channel a] limits (wsmb.ini line 2): unknown setting; did you mean limit?",
            ),
        ):
            with self.subTest(ini=ini):
                self.assertEqual(self.refusal(ini), expected)
        self.assertIn("known are htpasswd, source, data", self.refusal("[credential]\nqqqq=1"))

    def test_key_that_may_be_a_part_of_a_password_is_not_shown(self):
        text = self.refusal(f"[database]\npassword: {SECRET}=x")
        self.assertIn("[database] (no name) (wsmb.ini line 2)", text)

    def test_unknown_section(self):
        for ini, expected in (
            ("[severs]", "[severs] (wsmb.ini line 1): unknown section; did you mean server?"),
            ("\n[Database]\nx=1", "[Database] (wsmb.ini line 2): unknown section; did you mean database?"),
            ("[channel]", "[channel] (wsmb.ini line 1): unknown section; did you mean channel NAME?"),
        ):
            with self.subTest(ini=ini):
                self.assertEqual(self.refusal(ini), expected)
        sections = "server, database, credential, access, http, limits, proxy, tls, events, log"
        known = f"known are {sections}, channel NAME"
        self.assertIn(known, self.refusal("[\u2028]"))


class FileTests(ConfigCase):
    def no_file(self, name: str) -> str:
        with self.assertRaises(SettingError) as caught:
            load_settings(config_file=name, overrides={}, environ={}, cwd=self.cwd)
        return self.checked(caught.exception)

    def test_missing(self):
        self.assertEqual(
            self.no_file("wsmb.ini"),
            "--config wsmb.ini: cannot be read (No such file or directory); "
            "name a file that is there and may be read",
        )

    def test_folder_and_names_that_are_none(self):
        self.assertIn("Is a directory", self.no_file(self.cwd))
        self.assertIn("cannot be read (not a regular file); name a file", self.no_file("/dev/zero"))
        self.assertIn("no name of a file", self.no_file("a\x00b"))
        self.assertIn("No such file", self.no_file("a\nb"))

    def test_unreadable(self):
        self.write(self.file, b"")
        os.chmod(self.file, 0)
        self.lose_privileges()
        self.assertIn("Permission denied", self.no_file(self.file))

    def test_not_utf_8(self):
        self.assertIn("wsmb.ini line 2: not UTF-8", self.refusal(b"[server]\npath=/\xe4"))

    def test_relative_name_stands_in_errors_as_it_was_given(self):
        self.write(os.path.join(self.cwd, "wsmb.ini"), b"\n[server]\nport=x")
        self.assertIn("[server] port (wsmb.ini line 3)", self.no_file("wsmb.ini"))
