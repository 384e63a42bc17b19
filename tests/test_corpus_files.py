"""The htpasswd and configuration files of tests/corpus, mutations of them, and files made by chance."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests import examples
from tests.mutations import corpus, expected, mutations
from tests.support_config import SECRET, ConfigCase
from wsmb import htpasswd
from wsmb.config.access_lines import KEYWORDS, access_lines, access_rules
from wsmb.config.options import CHANNEL_KEYS, OPTIONS
from wsmb.errors import SettingError
from wsmb.settings import Settings
from wsmb.user_files import UserFiles

MUTATIONS = 500
WORDS = (
    *("true", "always", "oldest", "config", "null", "nan", "0", "-0", "1e9", "9" * 20, "٣", "²"),
    *("[]", "/", "//", "~", "\\", "::", "%"),
)
URLS = (
    *(
        "tcp:1",
        "unix:",
        "tcp:x:interface=",
        "https://a",
        "memory:",
        "sqlite:////a%ff",
        "sqlite:///a?prefix=%00",
    ),
    *(
        "mysql://u:p@[::1]:3306/d%FF?x=1",
        "mysql://",
        f"pgsql://a:{SECRET}@b:99999/c",
        f"mysql://a:{SECRET}@b",
    ),
    *(f"pgsql://:{SECRET}@/?unix_socket=x", "a:$apr1$x$y"),
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
KEYS = st.sampled_from(sorted({option.key for option in OPTIONS} | set(CHANNEL_KEYS) | {"unknown", ""}))
SECTIONS = st.sampled_from(
    ["server", "database", "credential", "channel sms", "channel ", "channel", "access", ""]
)
VALUES = st.one_of(
    TEXT,
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["", *WORDS, *URLS]),
)
LINES = st.one_of(
    st.builds("[{}]".format, SECTIONS | TEXT),
    st.builds("{}={}".format, KEYS | TEXT, VALUES),
    st.builds("{}[] = '{}' ; {}".format, KEYS, VALUES, TEXT),
    TEXT,
)
INI = st.lists(LINES, max_size=8).map(
    lambda lines: "\n".join(["[server]", *lines]).encode("utf-8", "surrogatepass")
)
# What Python itself takes for a variable of the environment.
VARIABLES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


class PasswordFileTests(ConfigCase):
    def test_each_has_the_end_that_its_name_says(self) -> None:
        for case in corpus("htpasswd"):
            with self.subTest(case.name):
                users = [user for user, one in htpasswd.parse(case.data).hashes.items() if one]
                self.assertEqual(users[:1], ["qa"] if expected(case) == "usable" else [])

    def test_mutations_give_users_or_a_setting_error(self) -> None:
        path = self.write(f"{self.etc}/users", b"")
        for case in mutations("htpasswd", MUTATIONS, "1"):
            self.write(path, case.data)
            try:
                reading = UserFiles([path]).read()
            except SettingError as error:
                told = [str(error)]
            else:
                told = list(reading.passed_over)
                self.assertTrue(all(map(htpasswd.is_user_name, reading.users.hashes)), case.name)
            for text in told:
                self.assertTrue(text.isprintable(), case.name)
                self.assertNotIn("$", text, case.name)

    @given(st.binary())
    def test_bytes(self, data: bytes) -> None:
        with self.assertRaises(SettingError):
            UserFiles([self.write(f"{self.etc}/users", data)]).read()


class ConfigurationFileTests(ConfigCase):
    def read(self, data: bytes, env: dict[str, str] | None = None, **overrides: object) -> Settings | None:
        """None if it is refused, as `checked` wants it."""
        try:
            settings = self.load(data, env, **overrides)
        except SettingError as error:
            text = self.checked(error)
            self.assertTrue(text.isprintable(), text)
            return None
        for warning in settings.warnings:
            self.assertTrue(warning.isprintable(), warning)
        return settings

    def test_each_has_the_end_that_its_name_says(self) -> None:
        for case in corpus("settings"):
            with self.subTest(case.name):
                # Without users from elsewhere, so that those it names are looked at.
                overrides = {"htpasswd": None} if b"[credential]" in case.data else {}
                self.assertEqual(self.read(case.data, **overrides) is not None, expected(case) == "good")

    def test_mutations(self) -> None:
        for case in mutations("settings", MUTATIONS, "1"):
            with self.subTest(case.name):
                self.read(case.data)

    @given(INI)
    @examples(300)
    def test_known_settings_with_any_value(self, data: bytes) -> None:
        self.read(data)
        self.read(data, keep_data="true", htpasswd=None)

    @given(st.sampled_from([option.environment for option in OPTIONS if option.environment]), VALUES)
    @examples(300)
    def test_the_environment(self, variable: str, value: str) -> None:
        self.read(b"", {variable: value})
        self.read(b"", {variable: value, "WSMB_KEEP_DATA": "always"})

    @given(VARIABLES.map("WSMB_{}".format))
    def test_unknown_variables(self, variable: str) -> None:
        self.read(b"", {variable: "x"})

    @given(st.sampled_from(["listen", "htpasswd", "database", "keep_data"]), VALUES)
    @examples(300)
    def test_the_command_line(self, name: str, value: str) -> None:
        self.read(b"", **{name: [value] if name == "listen" else value})


class AccessFileTests(ConfigCase):
    def read(self, data: bytes) -> bool:
        """Whether it can be read; if not, it is refused as `checked` wants it."""
        try:
            access_rules(access_lines(data, "access.conf"))
        except SettingError as error:
            self.assertTrue(self.checked(error).isprintable(), error)
            return False
        return True

    def test_each_has_the_end_that_its_name_says(self) -> None:
        for case in corpus("access"):
            with self.subTest(case.name):
                self.assertEqual(self.read(case.data), expected(case) == "good")

    def test_mutations(self) -> None:
        for case in mutations("access", MUTATIONS, "1"):
            with self.subTest(case.name):
                self.read(case.data)

    @given(
        st.lists(
            st.builds(
                "{} {}".format,
                st.sampled_from(KEYWORDS),
                st.text(',"*@{user}: asendrcv#\\\x00\u202e0é') | TEXT,
            )
        )
    )
    @examples(300)
    def test_lines_with_anything_in_them(self, lines: list[str]) -> None:
        self.read("\n".join(lines).encode("utf-8", "surrogatepass"))
