"""Which database is used, of all that may be set."""

import os
import unittest
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support_config import SECRET, ConfigCase
from wsmb.config.database_url import DatabaseUrl, database_url
from wsmb.config.values import BadValueError
from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings, DatabaseTls, KeepData, TlsCheck

MYSQL = DatabaseSettings("mysql", host="h", name="n", username="u", password="p")
PGSQL = replace(MYSQL, driver="pgsql", port=5432)


def parsed(text: str) -> DatabaseUrl:
    return database_url(text, lambda warning: None)


class UrlTests(unittest.TestCase):
    def test_mysql(self):
        for text, expected in {
            "mysql://u:p@h:99/n": DatabaseUrl("mysql", "n", "h", 99, "u", "p"),
            "MariaDB://u:p@h:99/n": DatabaseUrl("mysql", "n", "h", 99, "u", "p"),
            "mysql://h/n": DatabaseUrl("mysql", "n", "h"),
            "mysql:///n": DatabaseUrl("mysql", "n", "localhost"),
            "mysql://u@h:/n": DatabaseUrl("mysql", "n", "h", 3306, "u"),
            "mysql://u:@h/n": DatabaseUrl("mysql", "n", "h", 3306, "u", ""),
            "mysql://:p@h/n": DatabaseUrl("mysql", "n", "h", 3306, None, "p"),
            "mysql://u:p@[::1]:99/n": DatabaseUrl("mysql", "n", "::1", 99, "u", "p"),
            "mysql://u:p@[::1]/n": DatabaseUrl("mysql", "n", "::1", 3306, "u", "p"),
            "mysql://%75%3A:p%40%2f%C3%BC@h/n%20m": DatabaseUrl("mysql", "n m", "h", 3306, "u:", "p@/ü"),
            "mysql://u:p/a?b#c@d:e@h/n": DatabaseUrl("mysql", "n", "h", 3306, "u", "p/a?b#c@d:e"),
            "mysql://u:p@h/n?unix_socket=/run/my%20sql&prefix=x_": DatabaseUrl(
                "mysql", "n", "/run/my sql", 3306, "u", "p", "x_"
            ),
            "mysql:///n?prefix=": DatabaseUrl("mysql", "n", "localhost", prefix=""),
        }.items():
            with self.subTest(text=text):
                self.assertEqual(parsed(text), expected)

    def test_pgsql(self):
        for text, expected in {
            "pgsql://u:p@h:99/n": DatabaseUrl("pgsql", "n", "h", 99, "u", "p"),
            "PostgreSQL://u:p@h/n": DatabaseUrl("pgsql", "n", "h", 5432, "u", "p"),
            "pgsql:///n": DatabaseUrl("pgsql", "n", "localhost", 5432),
            "pgsql://%2Frun%2Fpostgresql/n": DatabaseUrl("pgsql", "n", "/run/postgresql", 5432),
            "pgsql://u@/n?unix_socket=/run/postgresql&prefix=x_": DatabaseUrl(
                "pgsql", "n", "/run/postgresql", 5432, "u", prefix="x_"
            ),
        }.items():
            with self.subTest(text=text):
                self.assertEqual(parsed(text), expected)

    def test_tls(self):
        for text, expected in {
            "mysql://h/n": None,
            "mysql://h/n?ssl_ca=/a%20b.pem": DatabaseTls(TlsCheck.NAME, "/a b.pem"),
            "mysql://h/n?ssl_ca=system": DatabaseTls(TlsCheck.NAME),
            "mysql://h/n?ssl_verify=full": DatabaseTls(TlsCheck.NAME),
            "mysql://h/n?ssl_verify=ca&ssl_ca=a.pem": DatabaseTls(TlsCheck.AUTHORITY, "a.pem"),
            "mysql://h/n?ssl_verify=no": DatabaseTls(TlsCheck.NOTHING),
            "pgsql://h/n": None,
            "pgsql://h/n?sslmode=verify-full&sslrootcert=/a.pem": DatabaseTls(TlsCheck.NAME, "/a.pem"),
            "pgsql://h/n?sslrootcert=system": DatabaseTls(TlsCheck.NAME),
            "pgsql://h/n?sslmode=verify-ca": DatabaseTls(TlsCheck.AUTHORITY),
            "pgsql://h/n?sslmode=require": DatabaseTls(TlsCheck.NOTHING),
            "pgsql://h/n?sslmode=disable": DatabaseTls(TlsCheck.DISABLED),
        }.items():
            with self.subTest(text=text):
                self.assertEqual(parsed(text).tls, expected)

    def test_sqlite_and_memory(self):
        self.assertEqual(parsed("sqlite:///a%20b/c"), DatabaseUrl("sqlite", "a b/c"))
        self.assertEqual(parsed("sqlite:////a/c?prefix=x_"), DatabaseUrl("sqlite", "/a/c", prefix="x_"))
        self.assertEqual(parsed("memory:"), DatabaseUrl("memory"))
        self.assertEqual(parsed("memory://"), DatabaseUrl("memory"))

    def test_refused(self):
        for text, reason in {
            "": "no known kind; give memory:, sqlite:///path",
            "db2://h/n": "or pgsql://user:password@host:port/name",
            f"{SECRET}@h/n": "no known kind",
            "memory:x": "give memory: alone",
            "sqlite:": "names no file; give sqlite:///path",
            "sqlite:///": "names no file",
            "sqlite:///a/": "names no file",
            "sqlite://a.db": "names no file",
            "sqlite:a.db": "names no file",
            "sqlite:///a?unix_socket=/x": "it takes only prefix",
            "mysql:n": "names no database; give mysql://user:password@host:port/name",
            "mysql://u:p@h": "names no database",
            "mysql://u:p@h/": "names no database",
            "mysql://u:p@h/a/b": "names no database",
            "mysql://u:p@::1/n": "port is no number",
            f"mysql://u:{SECRET}/n": "port is no number",
            "mysql://h:0/n": "port is no number",
            "mysql://h:65536/n": "port is no number",
            "pgsql://u:p@h": "names no database; give pgsql://user:password@host:port/name",
            f"postgresql://u:{SECRET}/n": "port is no number from 1 to 65535; give pgsql://",
            f"pgsql://h/n?password={SECRET}": "it takes only unix_socket, prefix, sslmode, sslrootcert",
            f"mysql://h/n?password={SECRET}": "it takes only unix_socket, prefix, ssl_verify, ssl_ca",
            "mysql://h/n?unix_socket=x": "begins with /",
            "mysql://h/n?sslmode=require": "it takes only unix_socket, prefix, ssl_verify, ssl_ca",
            f"mysql://h/n?ssl_verify={SECRET}": "ssl_verify is none; give full, ca, no",
            "pgsql://h/n?sslmode=": "give verify-full, verify-ca, require, prefer, disable",
            "mysql://h/n?prefix=a-b": "letters, digits",
            f"mysql://u:{SECRET}%ff@h/n": "not UTF-8",
        }.items():
            with self.subTest(text=text):
                with self.assertRaises(BadValueError) as caught:
                    parsed(text)
                self.assertIn(reason, str(caught.exception))
                self.assertNotIn(SECRET, str(caught.exception))

    def test_password_is_not_in_the_representation(self):
        self.assertNotIn(SECRET, repr(parsed(f"mysql://u:{SECRET}@h/n")))

    @given(
        st.text() | st.text(":/@?[]%&=a1").map("mysql:{}".format) | st.text(":/?%").map("sqlite:{}".format)
    )
    def test_nothing_else_is_ever_raised(self, text):
        try:
            parsed(text)
        except BadValueError as error:
            self.assertEqual(len(str(error).splitlines()), 1)


class ChoiceTests(ConfigCase):
    """Parts and URLs, in the file, the environment and on the command line."""

    PARTS = (
        "[server]\nkeep_data=1\n"
        "[database]\ndriver=mysql\nhost=h\nname=n\nusername=u\npassword=p\nprefix=mq_\n"
    )
    URL = "mysql://u:p@h/n"

    def database(self, ini=None, env=None, **overrides) -> DatabaseSettings:
        return self.load(ini, env, **overrides).database

    def test_parts(self):
        self.assertEqual(self.database(self.PARTS), MYSQL)
        self.assertEqual(self.database(self.PARTS.replace("mysql", "MariaDB") + "port=99").port, 99)
        names = ("DRIVER=mysql", "HOST=h", "PORT=99", "NAME=n", "PREFIX=x", "USERNAME=u", "PASSWORD=p")
        env = dict(f"WSMB_DATABASE_{name}".split("=") for name in names)
        self.assertEqual(
            self.database(None, env, keep_data="true"),
            DatabaseSettings("mysql", "", "h", 99, "n", "u", "p", "x"),
        )

    def test_the_file_of_authorities_is_relative_to_where_it_is_named(self):
        for folder in (self.etc, self.cwd):
            self.write(os.path.join(folder, "ca.pem"), b"")
        url = "mysql://h/n?ssl_ca=ca.pem"
        in_file = self.database(f"[database]\nurl={url}\n")
        self.assertEqual(in_file.tls, DatabaseTls(TlsCheck.NAME, os.path.join(self.etc, "ca.pem")))
        self.assertEqual(
            self.database(database=url).tls, DatabaseTls(TlsCheck.NAME, os.path.join(self.cwd, "ca.pem"))
        )

    def test_and_must_be_there(self):
        text = self.refusal(f"[database]\nurl=pgsql://u:{SECRET}@h/n?sslrootcert=nowhere.pem\n")
        self.assertIn("the file of authorities", text)
        self.assertIn("nowhere.pem' is not there", text)

    def test_parts_for_postgresql(self):
        for name in ("pgsql", "PostgreSQL"):
            ini = self.PARTS.replace("mysql", name)
            self.assertEqual(self.database(ini), PGSQL)
            self.assertEqual(self.database(ini + "port=99").port, 99)
        self.assertEqual(self.database(database="pgsql://u:p@h/n"), PGSQL)
        self.assertEqual(self.database(self.PARTS.replace("mysql", "pgsql"), database="pgsql://h/n"), PGSQL)

    def test_the_log_names_the_server_without_the_password(self):
        shown = str(self.database(database=f"pgsql://u:{SECRET}@h/n"))
        self.assertEqual(shown, "pgsql://u@h:5432/n, table mq_data")

    def test_host_is_localhost_by_default(self):
        self.assertEqual(self.database("[database]\ndriver=mysql\nname=n", keep_data="1").host, "localhost")

    def test_url_anywhere(self):
        self.assertEqual(self.database(f"[database]\nurl={self.URL}"), MYSQL)
        self.assertEqual(self.database(env={"WSMB_DATABASE": self.URL}), MYSQL)
        self.assertEqual(self.database(database=self.URL), MYSQL)

    def test_url_goes_before_parts_of_the_same_or_a_lower_place(self):
        ini = self.PARTS + "port=99\nurl=mysql://U:P@H/N"
        self.assertEqual(self.database(ini), DatabaseSettings("mysql", "", "H", 3306, "N", "U", "P"))
        env = {"WSMB_DATABASE_HOST": "x", "WSMB_DATABASE_PASSWORD": "x", "WSMB_DATABASE_DRIVER": "sqlite"}
        self.assertEqual(self.database(None, {**env, "WSMB_DATABASE": self.URL}), MYSQL)
        self.assertEqual(self.database(None, env, database=self.URL), MYSQL)

    def test_parts_of_a_higher_place_go_before_the_url(self):
        ini = f"[database]\nurl={self.URL}"
        env = {"WSMB_DATABASE_HOST": "x", "WSMB_DATABASE_PASSWORD": "y", "WSMB_DATABASE_PREFIX": "z_"}
        self.assertEqual(
            self.database(ini, env), DatabaseSettings("mysql", "", "x", 3306, "n", "u", "y", "z_")
        )

    def test_another_driver_of_a_higher_place_drops_the_url(self):
        ini = f"[database]\nurl={self.URL}"
        env = {"WSMB_DATABASE_DRIVER": "sqlite", "WSMB_DATABASE_NAME": "x.db"}
        self.assertEqual(
            self.database(ini, env), DatabaseSettings("sqlite", os.path.join(self.cwd, "x.db"), prefix="")
        )
        self.assertEqual(self.database(ini, {"WSMB_DATABASE_DRIVER": "mariadb"}), MYSQL)

    def test_what_the_url_leaves_out_is_filled_in(self):
        url = "mysql://h/n"
        self.assertEqual(self.database(self.PARTS, database=url), MYSQL)
        self.assertEqual(self.database("", {"WSMB_DATABASE_PASSWORD": "p"}, database="mysql://u@h/n"), MYSQL)
        self.assertEqual(self.database(database=url), DatabaseSettings("mysql", host="h", name="n"))
        self.assertEqual(self.database(self.PARTS.replace("mq_", "x_"), database=url).prefix, "x_")

    def test_password_that_the_url_says_is_empty_stays_empty(self):
        env = {"WSMB_DATABASE_PASSWORD": "p"}
        self.assertEqual(self.database("", env, database="mysql://u:@h/n").password, "")

    def test_prefix(self):
        self.assertEqual(self.database(self.PARTS.replace("prefix=mq_\n", "")).prefix, "")
        self.assertEqual(self.database(self.PARTS.replace("prefix=mq_", "prefix=")).prefix, "")
        self.assertEqual(self.database(f"[database]\nurl={self.URL}\nprefix=x_").prefix, "x_")
        self.assertEqual(self.database(f"[database]\nurl={self.URL}?prefix=\nprefix=x_").prefix, "")
        self.assertEqual(self.database(keep_data="1").prefix, "mq_")

    def test_any_password_comes_through(self):
        for password in ("a#b=c!d$e", "#x", "!", "$1", "a b", "[x]", "(){}|&~^?*%41"):
            with self.subTest(password=password):
                self.assertEqual(self.database(self.PARTS + f"password={password}").password, password)

    def test_memory(self):
        self.assertEqual(self.database(database="memory:"), DatabaseSettings())
        self.assertEqual(self.database("[database]\ndriver=memory", keep_data="1"), DatabaseSettings())

    def test_password_on_the_command_line_is_a_warning(self):
        [warning] = self.warnings(database=f"mysql://u:{SECRET}@h/n")
        self.assertTrue(warning.startswith("[database] url (--database): "), warning)
        self.assertIn("WSMB_DATABASE_PASSWORD", warning)
        self.assertEqual(self.warnings(database="mysql://u@h/n"), [])
        self.assertEqual(self.warnings(env={"WSMB_DATABASE": f"mysql://u:{SECRET}@h/n"}), [])


class KeepTests(ConfigCase):
    """What keeping messages has to do with the database."""

    def test_a_url_makes_true_the_default(self):
        self.assertIs(self.load(database="memory:").default_channel.keep_data, KeepData.OFFLINE)
        self.assertIs(self.load("[database]\nurl=memory:").default_channel.keep_data, KeepData.OFFLINE)
        self.assertIs(self.load("[channel a]", database="memory:").channel("a").keep_data, KeepData.OFFLINE)
        self.assertIs(self.load(database="memory:", keep_data="no").default_channel.keep_data, KeepData.NEVER)
        self.assertIs(self.load("[database]\ndriver=mysql\nname=n").default_channel.keep_data, KeepData.NEVER)

    def test_nothing_kept_is_no_database(self):
        self.assertEqual(self.load("[database]\ndriver=mysql\nhost=h").database, DatabaseSettings())
        self.assertEqual(self.load(database="mysql://h/n", keep_data="off").database, DatabaseSettings())

    def test_kept_and_no_database_named_is_a_file(self):
        path = os.path.join(self.etc, "wsmb.sqlite3")
        self.assertEqual(self.load("[server]\nkeep_data=1").database, DatabaseSettings("sqlite", path))
        self.assertEqual(self.load("[channel a]\nkeep_data=1").database, DatabaseSettings("sqlite", path))
        path = os.path.join(self.cwd, "wsmb.sqlite3")
        self.assertEqual(self.load(keep_data="always").database, DatabaseSettings("sqlite", path))

    def test_driver_missing(self):
        for line in ("host=h", "name=n"):
            text = self.refusal(f"[server]\nkeep_data=true\n[database]\n{line}")
            key = line.partition("=")[0]
            self.assertTrue(
                text.startswith(f"[database] driver is missing, though {key} is set (wsmb.ini line 4): "),
                text,
            )
            self.assertIn("add driver = mysql", text)

    def test_name_missing(self):
        name = "name = message_broker"
        for driver, remedy in (("mysql", name), ("pgsql", name), ("sqlite", "name = wsmb.sqlite3")):
            text = self.refusal(f"[server]\nkeep_data=true\n[database]\ndriver={driver}")
            self.assertTrue(
                text.startswith("[database] name is missing, though driver is set (wsmb.ini line 4): "), text
            )
            self.assertIn(remedy, text)


class SqliteTests(ConfigCase):
    def path(self, ini=None, env=None, **overrides) -> str:
        database = self.load(ini, env, **overrides).database
        self.assertEqual(database.driver, "sqlite")
        return database.path

    def test_relative(self):
        in_etc, in_cwd = os.path.join(self.etc, "x.db"), os.path.join(self.cwd, "x.db")
        self.assertEqual(self.path("[database]\nurl=sqlite:///x.db"), in_etc)
        self.assertEqual(self.path("", {"WSMB_DATABASE": "sqlite:///x.db"}), in_cwd)
        self.assertEqual(self.path("", database="sqlite:///../etc/x.db"), in_etc)
        self.assertEqual(self.path("[database]\ndriver=sqlite\nname=x.db", keep_data="1"), in_etc)

    def test_url_goes_before_name_of_the_same_place_but_not_of_a_higher_one(self):
        ini = "[database]\nname=y.db\nurl=sqlite:///x.db"
        self.assertEqual(self.path(ini), os.path.join(self.etc, "x.db"))
        self.assertEqual(self.path(ini, {"WSMB_DATABASE_NAME": "z.db"}), os.path.join(self.cwd, "z.db"))

    def test_absolute(self):
        path = os.path.join(self.etc, "x.db")
        self.assertEqual(self.path(database=f"sqlite:///{path}"), path)
        self.assertEqual(self.path(f"[database]\ndriver=sqlite\nname={path}", keep_data="1"), path)

    def test_slash_forgotten(self):
        path = os.path.join(self.etc, "x.db")
        self.assertEqual(self.path(database=f"sqlite://{path}"), path)
        os.makedirs(self.cwd + self.etc)
        self.assertEqual(self.path(database=f"sqlite://{path}"), self.cwd + path)

    def test_folder_missing(self):
        text = self.refusal("[database]\nurl=sqlite:///gone/x.db")
        self.assertEqual(
            text,
            "[database] url (wsmb.ini line 2): the folder 'gone' does not exist; "
            "make it, or name another file",
        )
        text = self.refusal("[server]\nkeep_data=1\n[database]\ndriver=sqlite\nname=gone/x.db")
        self.assertIn("[database] name (wsmb.ini line 5): the folder 'gone' does not exist", text)

    def test_not_a_file(self):
        self.assertIn("is a folder; name a file in it", self.refusal(database="sqlite:///../etc"))
        self.assertIn("give the URL memory:", self.refusal(database="sqlite:///:memory:"))


class SecretTests(ConfigCase):
    """No error shows a password, wherever a URL was put and whatever is missing in it."""

    _pieces = st.permutations(["mysql:", "//", "root", ":", SECRET, "@", "h", "/", "n", "?x=y"])
    _url = st.builds(lambda pieces, count: "".join(pieces[:count]), _pieces, st.integers(1, 10))

    @given(st.sampled_from(["url", "password"]), _url)
    def test_in_its_place(self, key, url):
        self.check(key, url)

    @given(
        st.sampled_from(["driver", "host", "port", "name", "prefix", "limit"]),
        st.sampled_from([f"mysql://root:{SECRET}@h/n", f"mysql://root:{SECRET}", f"root:{SECRET}@h/n"]),
    )
    def test_in_a_wrong_place(self, key, url):
        self.check(key, url)

    def test_after_the_end_of_a_line(self):
        self.refusal(env={"WSMB_DATABASE_DRIVER": f"mysql://root:\n{SECRET}@h/n"})

    def check(self, key: str, url: str) -> None:
        try:
            self.load(f"[server]\nkeep_data=1\n[database]\n{key}={url}")
        except SettingError as error:
            self.checked(error)
