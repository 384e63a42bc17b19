"""`wsmb.ini.example` loads as it stands, and shows every setting."""

import os
import re

from tests.support_config import ConfigCase
from wsmb.config.options import CHANNEL_KEYS, OPTIONS, SECTIONS
from wsmb.settings import DatabaseSettings, KeepData, Settings

_EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "wsmb.ini.example")
_OFF = re.compile(r"^;(?=\S+ = )", re.MULTILINE)


class ExampleTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        with open(_EXAMPLE, encoding="utf-8") as file:
            # Whoever turns webhooks on has to put a secret of their own there.
            self.text = file.read().replace("whsec_...", f"whsec_{'x' * 32}")
        self.write(os.path.join(self.etc, "access.conf"), b"allow shop send sms\n")

    def test_as_it_stands_it_is_the_defaults_with_messages_kept(self):
        loaded = self.load_bare(self.text)
        expected = Settings(
            listen=("tcp:8888:interface=127.0.0.1",),
            htpasswd_files=(os.path.join(self.etc, ".htpasswd"),),
            database=DatabaseSettings("sqlite", os.path.join(self.etc, "wsmb.sqlite3")),
            default_channel=loaded.default_channel,
        )
        self.assertEqual(loaded, expected)
        self.assertIs(loaded.default_channel.keep_data, KeepData.OFFLINE)

    def test_each_setting_that_is_off_can_be_turned_on(self):
        for match in _OFF.finditer(self.text[: self.text.index(";[channel")]):
            with self.subTest(line=self.text[match.end() :].partition("\n")[0]):
                environ = {"WSMB_WEBHOOK_SECRET": f"whsec_{'x' * 32}"}
                self.load_bare(self.text[: match.start()] + self.text[match.end() :], environ)

    def test_all_turned_on(self):
        loaded = self.load_bare(_OFF.sub("", self.text).replace(";[channel", "[channel"))
        self.assertEqual([name for name, _ in loaded.channels], ["sms"])
        self.assertEqual(loaded.warnings, ())

    def test_every_setting_is_there(self):
        text = self.text.replace(";[channel", "[channel")
        for section in (*SECTIONS, "channel sms"):
            known = (
                CHANNEL_KEYS if section == "channel sms" else [o.key for o in OPTIONS if o.section == section]
            )
            shown = text.partition(f"\n[{section}]\n")[2].partition("\n[")[0]
            self.assertEqual(
                sorted(known), sorted(re.findall(r"^;?(\w+)(?:\[\])? =(?: |$)", shown, re.MULTILINE))
            )
