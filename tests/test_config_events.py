"""Tests for wsmb.config: events, webhooks and the form of the log."""

from __future__ import annotations

import base64

from tests.support_config import SECRET, ConfigCase
from wsmb.settings import LogFormat, WebhookSettings

KEY = b"0123456789" * 3
TEXT = "whsec_" + base64.b64encode(KEY).decode()
HOOK = f"[events]\nwebhook_secret = {TEXT}\nwebhook[] = "


class EventsTests(ConfigCase):
    def test_nothing_is_told_by_default(self) -> None:
        settings = self.load()
        channel = settings.channel("c")
        self.assertEqual(settings.webhooks, WebhookSettings())
        self.assertEqual((channel.no_receiver_seconds, channel.waiting_items), (0.0, 0))
        self.assertFalse(channel.receiver_events)

    def test_for_all_channels_and_for_some(self) -> None:
        settings = self.load(
            "[events]\nno_receiver_seconds = 60\nwaiting_items = 5\n"
            "[channel sms*]\nwaiting_items = 9\nreceiver_events = true\n"
        )
        for name, expected in (("c", (60.0, 5, False)), ("sms1", (60.0, 9, True))):
            channel = settings.channel(name)
            given = (channel.no_receiver_seconds, channel.waiting_items, channel.receiver_events)
            self.assertEqual(given, expected)

    def test_webhooks_from_the_file_and_the_environment(self) -> None:
        settings = self.load(f"{HOOK}https://a.example/x?y=1\nwebhook[] = https://b.example:8443\n")
        urls = ("https://a.example/x?y=1", "https://b.example:8443")
        self.assertEqual(settings.webhooks, WebhookSettings(urls, KEY))
        self.assertEqual(settings.warnings, ())
        environ = {"WSMB_WEBHOOK": " ".join(urls), "WSMB_WEBHOOK_SECRET": TEXT}
        self.assertEqual(self.load(env=environ).webhooks, WebhookSettings(urls, KEY))

    def test_nothing_to_sign_with(self) -> None:
        text = self.refusal("[events]\nwebhook = https://a.example/\n")
        self.assertIn("nothing to sign with", text)

    def test_urls_that_cannot_be_used_and_are_not_shown(self) -> None:
        for url in (
            f"https://user:{SECRET}@a.example/",
            f"https:///{SECRET}",
            f"ftp://a.example/{SECRET}",
            f"https://a.example:port/{SECRET}",
            f"https://a.example/{SECRET}#x",
            f"https://[a/{SECRET}",
            f"https://a.example/é{SECRET}",
        ):
            self.assertIn("webhook", self.refusal(HOOK + url + "\n"))

    def test_secrets_that_cannot_be_used_and_are_not_shown(self) -> None:
        short = "whsec_" + base64.b64encode(b"x" * 23).decode()
        long = "whsec_" + base64.b64encode(b"x" * 65).decode()
        for secret in (SECRET, f"whsec_{SECRET}", TEXT.removeprefix("whsec_"), short, long):
            text = self.refusal(f"[events]\nwebhook_secret = {secret}\n")
            self.assertIn("24 to 64", text)
            self.assertNotIn(secret, text)

    def test_in_clear_text_over_the_network(self) -> None:
        self.assertIn("clear text", self.load(f"{HOOK}http://a.example/\n").warnings[0])
        for host in ("127.0.0.1:8000", "localhost", "[::1]"):
            self.assertEqual(self.load(f"{HOOK}http://{host}/\n").warnings, ())

    def test_neither_is_in_a_representation(self) -> None:
        settings = self.load(f"{HOOK}https://a.example/{SECRET}\n")
        self.assertNotIn(SECRET, repr(settings))
        self.assertNotIn("0123", repr(settings))

    def test_the_form_of_the_log(self) -> None:
        self.assertIs(self.load().log_format, LogFormat.TEXT)
        self.assertIs(self.load("[log]\nformat = JSON\n").log_format, LogFormat.JSON)
        self.assertIn("text or json", self.refusal("[log]\nformat = xml\n"))
