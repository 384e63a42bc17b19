"""Tests for wsmb.client.target: URLs, user names and passwords."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsmb.client.target import Target, TargetError, default_channel, find_target, library_target

SECRET = "s3cret"
OURS = {"WSMB_USER": "qa", "WSMB_PASSWORD": SECRET}


class UrlTests(SynchronousTestCase):
    def place(self, url: str) -> tuple[bool, str, int, str]:
        target = find_target(OURS, url)
        return target.is_secure, target.host, target.port, target.resource

    def test_parts(self) -> None:
        for url, expected in (
            ("ws://h:8888/", (False, "h", 8888, "/")),
            ("ws://h", (False, "h", 80, "/")),
            ("wss://h/a/b?c=d", (True, "h", 443, "/a/b?c=d")),
            ("wss://[::1]:1/", (True, "::1", 1, "/")),
        ):
            self.assertEqual(self.place(url), expected)

    def test_default(self) -> None:
        self.assertEqual(find_target(OURS).url, "ws://127.0.0.1:8888/")

    def test_no_urls(self) -> None:
        for url in (
            "",
            "h:8888",
            "http://h/",
            "ws:///x",
            "ws://h:x/",
            "ws://h:99999/",
            "ws://h:0/",
            "ws://h/#x",
            "ws://h/a b",
            "ws://h/é",
            "ws://h/?topic=sms",
            "ws://h/?x=1&channel=",
            "ws://é/",
            "ws://[::1/",
            "ws://qa:s3/cret@h/",
            "ws://qa:s3#cret@h/",
        ):
            with self.assertRaises(TargetError) as caught:
                self.place(url)
            self.assertIn("--url", str(caught.exception))
            self.assertNotIn("cret", str(caught.exception))

    def test_ipv6_in_the_host_header(self) -> None:
        self.assertEqual(find_target(OURS, "ws://[::1]:1/").url_host, "[::1]")


class CredentialTests(SynchronousTestCase):
    def found(self, environ: dict[str, str], **given: str) -> tuple[str, str]:
        target = find_target(environ, **given)
        return target.user, target.password

    def test_from_the_environment(self) -> None:
        self.assertEqual(self.found(OURS), ("qa", SECRET))

    def test_from_the_url_of_the_environment(self) -> None:
        self.assertEqual(self.found({"WSMB_URL": "ws://q%40a:p%2F%3A@h/"}), ("q@a", "p/:"))

    def test_arguments_go_first(self) -> None:
        environ = {**OURS, "WSMB_URL": "ws://url:of-url@h/"}
        self.assertEqual(self.found(environ), ("url", "of-url"))
        self.assertEqual(self.found(environ, user="me", password="mine"), ("me", "mine"))

    def test_a_url_s_password_is_for_its_own_user(self) -> None:
        self.assertEqual(self.found({**OURS, "WSMB_URL": "ws://url:of-url@h/"}, user="qa"), ("qa", SECRET))

    def test_an_argument_s_url_takes_nothing_from_the_environment_s(self) -> None:
        with self.assertRaisesRegex(TargetError, "no user name.*no password"):
            find_target({"WSMB_URL": "ws://qa:s3cret@h/"}, "ws://elsewhere/")

    def test_user_in_the_url_argument(self) -> None:
        self.assertEqual(self.found(OURS, url="ws://me@h/"), ("me", SECRET))

    def test_password_in_the_url_argument(self) -> None:
        with self.assertRaisesRegex(TargetError, "WSMB_PASSWORD or give --password-file") as caught:
            find_target(OURS, "ws://qa:geheim@h/")
        self.assertNotIn("geheim", str(caught.exception))

    def test_missing(self) -> None:
        for environ, missing in (
            ({}, "no user name: set WSMB_USER .*; no password: set WSMB_PASSWORD"),
            ({"WSMB_USER": "qa", "WSMB_PASSWORD": ""}, "^no password: set WSMB_PASSWORD"),
            ({"WSMB_PASSWORD": "x"}, "^no user name: set WSMB_USER or give --user$"),
        ):
            with self.assertRaisesRegex(TargetError, missing):
                find_target(environ)

    def test_colon_in_a_user_name(self) -> None:
        with self.assertRaisesRegex(TargetError, "no colon"):
            find_target(OURS, user="a:b")

    def test_authorization(self) -> None:
        target = Target(False, "h", 1, "/", "Aladdin", "open sesame")
        self.assertEqual(target.authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        # A byte that is not UTF-8 goes out as it came in.
        self.assertEqual(Target(False, "h", 1, "/", "a", "\udcff").authorization, "Basic YTr/")

    def test_not_shown(self) -> None:
        target = find_target(OURS)
        self.assertNotIn(SECRET, repr(target) + target.url)


class OriginalTests(SynchronousTestCase):
    """The names that the original's clients read."""

    environ = {  # noqa: RUF012
        "MQ_SERVER_HOST": "broker",
        "MQ_SERVER_PORT": "9999",
        "MQ_CLIENT_USERNAME": "old",
        "MQ_CLIENT_PASSWORD": SECRET,
    }

    def test_all(self) -> None:
        target = find_target(self.environ)
        self.assertEqual((target.url, target.user, target.password), ("ws://broker:9999/", "old", SECRET))

    def test_only_where_ours_are_absent(self) -> None:
        target = find_target({**self.environ, **OURS, "WSMB_URL": "ws://h:1/"})
        self.assertEqual((target.url, target.user), ("ws://h:1/", "qa"))

    def test_only_one_of_host_and_port(self) -> None:
        self.assertEqual(find_target({**OURS, "MQ_SERVER_HOST": "::1"}).url, "ws://[::1]:8888/")
        self.assertEqual(find_target({**OURS, "MQ_SERVER_PORT": "9999"}).url, "ws://127.0.0.1:9999/")

    def test_bad_port(self) -> None:
        with self.assertRaisesRegex(TargetError, "MQ_SERVER_PORT"):
            find_target({**OURS, "MQ_SERVER_PORT": "x"})

    def test_channel(self) -> None:
        self.assertEqual(default_channel({"MQ_CANNEL_NAME": "sms"}), "sms")
        self.assertEqual(default_channel({"MQ_CANNEL_NAME": "sms", "MQ_CHANNEL_NAME": "log"}), "log")
        self.assertIsNone(default_channel({"MQ_CHANNEL_NAME": ""}))


class LibraryTests(SynchronousTestCase):
    def test_a_url_may_hold_a_password(self) -> None:
        target = library_target({}, "ws://qa:s3%40cret@h/", None, None)
        self.assertEqual((target.user, target.password, target.url), ("qa", "s3@cret", "ws://h:80/"))

    def test_arguments_go_before_the_environment(self) -> None:
        target = library_target({**OURS, "WSMB_URL": "ws://elsewhere/"}, "ws://h/", "me", "mine")
        self.assertEqual((target.host, target.user, target.password), ("h", "me", "mine"))

    def test_the_environment(self) -> None:
        target = library_target({**OURS, "WSMB_URL": "wss://h/"}, None, None, None)
        self.assertEqual((target.url, target.user, target.password), ("wss://h:443/", "qa", SECRET))

    def test_what_is_missing(self) -> None:
        with self.assertRaises(TargetError) as caught:
            library_target({}, "ws://h/", None, None)
        self.assertEqual(
            str(caught.exception),
            "no user name: set WSMB_USER or give user=; no password: set WSMB_PASSWORD or give password=",
        )

    def test_who_has_a_certificate_needs_no_password(self) -> None:
        target = library_target({}, "wss://h/", None, None, has_certificate=True)
        self.assertEqual((target.user, target.authorization), ("", ""))
        target = library_target(OURS, "wss://h/", None, None, has_certificate=True)
        self.assertEqual(target.user, "qa")
