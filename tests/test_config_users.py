"""Settings of channels and users."""

import os

from tests.support_config import SECRET, ConfigCase
from wsmb.errors import SettingError
from wsmb.settings import ChannelSettings, KeepData, ReceiverChoice


class ChannelTests(ConfigCase):
    def test_what_a_channel_does_not_set_comes_from_the_server(self):
        loaded = self.load(
            "[channel sms]\nlimit=3\nkeep_data=always\n"
            "[channel a*]\nnumber_of_receiver=1\nreceiver_choice=oldest\ndelay_send=20\n"
            "[channel *b c]\n"
            "[server]\nnumber_of_receiver=2\n[database]\nlimit=5\n",
            {"WSMB_DELAY_SEND": "10"},
        )
        server = ChannelSettings(2, limit=5, delay_send_s=0.01)
        self.assertEqual(loaded.default_channel, server)
        self.assertEqual(
            loaded.channels,
            (
                ("sms", ChannelSettings(2, keep_data=KeepData.ALWAYS, limit=3, delay_send_s=0.01)),
                (
                    "a*",
                    ChannelSettings(1, ReceiverChoice.OLDEST, limit=5, delay_send_s=0.02, text_receivers=1),
                ),
                ("*b c", server),
            ),
        )

    def test_a_channels_own_setting_stays_under_the_command_line(self):
        loaded = self.load("[channel sms]\nkeep_data=always", keep_data="false")
        self.assertIs(loaded.channel("sms").keep_data, KeepData.ALWAYS)
        self.assertIs(loaded.channel("x").keep_data, KeepData.NEVER)

    def test_what_is_sent_with_the_channel_in_the_url_goes_by_the_channels_section_alone(self):
        loaded = self.load(
            "[server]\nnumber_of_receiver=2\n[channel all]\nlimit=3\n[channel same]\nnumber_of_receiver=2\n",
            {"WSMB_NUMBER_OF_RECEIVER": "5"},
        )
        found = {name: loaded.channel(name).text_receivers for name in ("all", "same", "other")}
        self.assertEqual(found, {"all": 0, "same": 2, "other": 0})

    def test_length_of_the_name(self):
        name = "ü" * 100
        self.assertEqual(self.load(f"[channel {name}]").channels[0][0], name)
        text = self.refusal(f"\n[channel {name}x]")
        self.assertTrue(text.startswith("[channel] (wsmb.ini line 2): the name has 101 characters"), text)
        self.assertIn("1 to 100", text)

    def test_given_again(self):
        loaded = self.load("[channel a]\nlimit=2\n[channel a]\nnumber_of_receiver=3")
        self.assertEqual(loaded.channels, (("a", ChannelSettings(3, text_receivers=3)),))
        self.assertIn("[channel a] (wsmb.ini line 3)", loaded.warnings[0].replace(self.etc + os.sep, ""))


class UserTests(ConfigCase):
    def no_users(self, ini: str | None = None, **overrides: object) -> str:
        with self.assertRaises(SettingError) as caught:
            self.load_bare(ini, **overrides)
        return self.checked(caught.exception)

    def test_none_named(self):
        remedy = (
            "no file with users is named; make one with `wsmb passwd FILE USER`, "
            "then name it with --htpasswd FILE or [credential] htpasswd = FILE"
        )
        self.assertEqual(self.no_users(), f"[credential] htpasswd (no configuration file): {remedy}")
        for ini in ("", "[credential]\nhtpasswd=", "[credential]\nsource=config"):
            with self.subTest(ini=ini):
                self.assertEqual(self.no_users(ini), f"[credential] htpasswd (wsmb.ini): {remedy}")

    def test_files_in_the_file_are_relative_to_it(self):
        self.write(os.path.join(self.etc, "more"), b"")
        more, own = os.path.join(self.etc, "more"), os.path.join(self.etc, ".htpasswd")
        self.assertEqual(self.load_bare("[credential]\nhtpasswd=more").htpasswd_files, (more,))
        self.assertEqual(
            self.load_bare("[credential]\ndata[]=.htpasswd\ndata[]=../etc/more").htpasswd_files, (own, more)
        )
        self.assertEqual(
            self.load_bare("[credential]\ndata=.htpasswd\nhtpasswd=more").htpasswd_files, (more, own)
        )
        self.assertEqual(self.load_bare(f"[credential]\ndata[]={more}").htpasswd_files, (more,))

    def test_files_from_outside_are_relative_to_cwd_and_replace_all_in_the_file(self):
        own, other = os.path.join(self.cwd, ".htpasswd"), self.write(os.path.join(self.cwd, "other"), b"")
        ini = "[credential]\nsource=config\ndata[]=a:b\nhtpasswd=missing"
        env = {"WSMB_HTPASSWD": ".htpasswd"}
        loaded = self.load_bare(ini, env)
        self.assertEqual((loaded.htpasswd_files, loaded.htpasswd_lines), ((own,), ()))
        self.assertEqual(self.load_bare(ini, env, htpasswd="other").htpasswd_files, (other,))

    def test_lines(self):
        loaded = self.load_bare("[credential]\nsource=config\ndata[]=a:$apr1$x$y/.\ndata[]=b:{SHA}x=")
        self.assertEqual(loaded.htpasswd_files, ())
        self.assertEqual(loaded.htpasswd_lines, ("a:$apr1$x$y/.", "b:{SHA}x="))

    def test_bad_line_is_not_shown(self):
        for line in (SECRET, f":{SECRET}", f"{SECRET}:"):
            text = self.no_users(f"[credential]\nsource=config\ndata[]={line}")
            self.assertIn("[credential] data (wsmb.ini line 3): is not user:hash; set source = file", text)

    def test_line_that_is_taken_for_a_file_is_not_shown(self):
        for line in (f"u:$apr1${SECRET}", f"u:{{SHA}}{SECRET}"):
            text = self.no_users(f"[credential]\ndata[]={line}")
            self.assertIn("[credential] data (wsmb.ini line 2)", text)
            self.assertIn("set source = config", text)

    def test_missing_file_and_folder(self):
        text = self.no_users("[credential]\nhtpasswd=missing")
        self.assertEqual(
            text,
            "[credential] htpasswd (wsmb.ini line 2): 'missing' does not exist; make one with "
            "`wsmb passwd FILE USER`, then name it with --htpasswd FILE or [credential] htpasswd = FILE",
        )
        self.assertIn("[credential] htpasswd (--htpasswd): ", self.no_users(htpasswd="missing"))
        self.assertIn("is not a file", self.no_users(htpasswd=self.cwd))
        self.assertIn("is not a file", self.no_users(htpasswd=""))

    def test_unreadable_file(self):
        os.chmod(os.path.join(self.cwd, ".htpasswd"), 0)
        self.lose_privileges()
        self.assertIn("change its owner or mode", self.no_users(htpasswd=".htpasswd"))
