"""Where settings come from, and what they are by default."""

import os

from hypothesis import given
from hypothesis import strategies as st

from tests.support_config import SECRET, ConfigCase
from wsmb.config.given import Given, Rank
from wsmb.config.options import OPTIONS, SECTIONS, keys_of
from wsmb.errors import SettingError
from wsmb.settings import ChannelSettings, DatabaseSettings, KeepData, ReceiverChoice, Settings

ORIGINAL = """\
[server]
; Server port
port=8888
path=/
number_of_receiver=2
keep_data=true
delay_send=30          ; milliseconds
[database]
driver=mysql
host=localhost
port=3306
name=message_broker
prefix=mq_
username=root
password=dbpass
limit=1
[credential]
; Data source. (file, config)
source=file
; If data source is "file", data is file name
data[]=.htpasswd
[secret]
use_secret=true
secret_mode=write
secret_name=global
database->driver=mysql
"""


class OriginalTests(ConfigCase):
    def test_config_ini_of_the_original(self):
        for text in (ORIGINAL, "\ufeff" + ORIGINAL.replace("\n", "\r\n")):
            loaded = self.load_bare(text)
            self.assertEqual(
                loaded,
                Settings(
                    listen=("tcp:8888",),
                    htpasswd_files=(os.path.join(self.etc, ".htpasswd"),),
                    database=DatabaseSettings(
                        "mysql", host="localhost", name="message_broker", username="root", password="dbpass"
                    ),
                    default_channel=ChannelSettings(
                        2, keep_data=KeepData.OFFLINE, limit=1, delay_send_s=0.03
                    ),
                    warnings=loaded.warnings,
                ),
            )

    def test_secret_section_is_passed_over_with_a_warning(self):
        [warning] = self.warnings(ORIGINAL.replace("dbpass", SECRET))
        self.assertIn("[secret] (wsmb.ini line 22)", warning)
        self.assertIn("WSMB_DATABASE_PASSWORD", warning)

    def test_without_database(self):
        loaded = self.load(
            "[server]\nport=8888\nkeep_data=0\n[database]\ndriver=\nhost=\nport=\nname=\nlimit=\n"
        )
        self.assertEqual(loaded.database, DatabaseSettings())
        self.assertEqual(loaded.default_channel, ChannelSettings())


class DefaultTests(ConfigCase):
    def test_with_nothing_but_users(self):
        self.assertEqual(
            self.load(),
            Settings(
                listen=("tcp:8888:interface=127.0.0.1",),
                htpasswd_files=(os.path.join(self.cwd, ".htpasswd"),),
            ),
        )

    def test_defaults_in_the_table_can_be_read(self):
        for option in OPTIONS:
            if option.default is not None:
                option.default_value()

    def test_every_section_has_keys_and_every_variable_is_there_once(self):
        names = "server database credential access http limits proxy tls events log"
        sections = tuple(names.split())
        self.assertEqual(SECTIONS, sections)
        variables = [option.environment for option in OPTIONS if option.environment]
        self.assertEqual(len(variables), len(set(variables)))
        self.assertEqual(sum(len(keys_of(section)) for section in SECTIONS), len(OPTIONS))

    def test_passwords_and_hashes_are_not_in_the_representation(self):
        loaded = self.load_bare(
            f"[server]\nkeep_data=1\n[credential]\nsource=config\ndata[]=u:{SECRET}\n"
            f"[database]\ndriver=mysql\nname=n\npassword={SECRET}\n"
        )
        self.assertEqual((loaded.database.password, loaded.htpasswd_lines), (SECRET, (f"u:{SECRET}",)))
        self.assertNotIn(SECRET, repr(loaded))
        self.assertNotIn(SECRET, repr(Given(SECRET, Rank.FILE, "here")))


class ListenTests(ConfigCase):
    def test_http_is_for_this_machine_unless_it_says_otherwise(self):
        for text, endpoint in (
            ("tcp:99", "tcp:99:interface=127.0.0.1"),
            ("tcp6:99:backlog=5", r"tcp6:99:backlog=5:interface=\:\:1"),
            ("tcp:99:interface=0.0.0.0", "tcp:99:interface=0.0.0.0"),
            ("ssl:99", "ssl:99"),
            ("unix:/run/x", "unix:/run/x"),
        ):
            loaded = self.load(f"[http]\nlisten={text}")
            self.assertEqual((loaded.http_listen, loaded.http_place), ((endpoint,), f"{self.file} line 2"))
        self.assertEqual(self.load("[http]\nlisten[]=tcp:1\nlisten[]=ssl:2").http_listen[1], "ssl:2")
        self.assertEqual(self.load().http_listen, ())

    def test_port_is_every_interface(self):
        self.assertEqual(self.load("[server]\nport=99").listen, ("tcp:99",))
        self.assertEqual(self.load(env={"WSMB_PORT": "98"}).listen, ("tcp:98",))

    def test_listen_goes_before_port(self):
        self.assertEqual(self.load("[server]\nport=99\nlisten=tcp:1").listen, ("tcp:1",))
        self.assertEqual(self.load(env={"WSMB_PORT": "9", "WSMB_LISTEN": "tcp:1"}).listen, ("tcp:1",))

    def test_several(self):
        self.assertEqual(self.load("[server]\nlisten[]=tcp:1\nlisten[]=unix:/x").listen, ("tcp:1", "unix:/x"))
        self.assertEqual(self.load(env={"WSMB_LISTEN": " tcp:1  unix:/x"}).listen, ("tcp:1", "unix:/x"))
        self.assertEqual(self.load(listen=["tcp:1", "unix:/a b"]).listen, ("tcp:1", "unix:/a b"))

    def test_order_of_places(self):
        ini, env = "[server]\nlisten=tcp:1\nport=2", {"WSMB_PORT": "3"}
        self.assertEqual(self.load(ini, env).listen, ("tcp:3",))
        self.assertEqual(self.load(ini, env, listen=["tcp:4"]).listen, ("tcp:4",))

    def test_endpoint_without_a_type(self):
        text = self.refusal(listen=["tcp:1", "8888"])
        self.assertEqual(
            text,
            "[server] listen (--listen): '8888' cannot be used; "
            "give an endpoint such as tcp:8888 or tcp:8888:interface=127.0.0.1",
        )
        for wrong in ("", "tcp:", ":1", "tcp"):
            with self.subTest(wrong=wrong):
                self.assertIn("(--listen)", self.refusal(listen=[wrong]))

    def test_a_socket_of_systemds(self):
        for good in ("systemd:domain=INET6:index=1", "systemd:name=web:domain=UNIX"):
            self.assertEqual(self.load(f"[http]\nlisten={good}", listen=[good]).listen, (good,))
        for wrong in (
            "systemd:0",
            "systemd:index=0",
            "systemd:domain=INET",
            "systemd:domain=FOO:index=0",
            "systemd:domain=INET:index=-1",
            "systemd:domain=INET:index=x",
            "systemd:domain=INET:name=",
            "systemd:domain=INET:index=0:name=x",
        ):
            with self.subTest(wrong=wrong):
                self.assertIn("; give systemd:domain=INET:index=0 (or", self.refusal(listen=[wrong]))
                self.assertIn("[http] listen (", self.refusal(f"[http]\nlisten={wrong}"))


class PlaceTests(ConfigCase):
    """Command line over environment over file over default."""

    def test_ranks(self):
        ini = "[server]\nkeep_data=always\nnumber_of_receiver=1"
        env = {"WSMB_KEEP_DATA": "offline", "WSMB_NUMBER_OF_RECEIVER": "2"}
        self.assertIs(self.load(ini).default_channel.keep_data, KeepData.ALWAYS)
        self.assertIs(self.load(ini, env).default_channel.keep_data, KeepData.OFFLINE)
        self.assertIs(self.load(ini, env, keep_data="false").default_channel.keep_data, KeepData.NEVER)
        self.assertEqual(self.load(ini, env).default_channel.number_of_receiver, 2)

    def test_none_and_empty_list_on_the_command_line_are_absent(self):
        loaded = self.load("[server]\nport=99", listen=[], keep_data=None, database=None, version=True)
        self.assertEqual(loaded, self.load("[server]\nport=99"))

    def test_empty_variable_is_absent(self):
        env = {option.environment: "" for option in OPTIONS if option.environment}
        ini = "[server]\nport=99\nkeep_data=always\n[database]\nprefix=x_"
        self.assertEqual(self.load(ini, env), self.load(ini))

    def test_every_setting_of_the_server_from_the_environment(self):
        loaded = self.load(
            env={
                "WSMB_PATH": "/x",
                "WSMB_ALLOWED_ORIGINS": "https://a https://B:1",
                "WSMB_RECEIVER_CHOICE": "Oldest",
                "WSMB_DELAY_SEND": "1500",
                "WSMB_MAX_FRAME_BYTES": "2000",
                "WSMB_MAX_OUTSTANDING_BYTES": "3000",
                "WSMB_PING_INTERVAL": "0",
                "WSMB_PING_TIMEOUT": "3",
                "WSMB_HANDSHAKE_TIMEOUT": "3.5",
                "WSMB_DATABASE_LIMIT": "7",
            }
        )
        self.assertEqual((loaded.path, loaded.allowed_origins), ("/x", ("https://a", "https://b:1")))
        self.assertEqual(
            loaded.default_channel,
            ChannelSettings(receiver_choice=ReceiverChoice.OLDEST, limit=7, delay_send_s=1.5),
        )
        self.assertEqual((loaded.max_frame_bytes, loaded.max_outstanding_bytes), (2000, 3000))
        self.assertEqual(
            (loaded.ping_interval_s, loaded.ping_timeout_s, loaded.handshake_timeout_s), (0.0, 3.0, 3.5)
        )

    def test_unknown_variable_is_a_warning(self):
        env = dict.fromkeys(("WSMB_URL", "WSMB_USER", "WSMB_PASSWORD", "WSMB_CONFIG", "WSM", "PATH"), SECRET)
        self.assertEqual(self.warnings(env=env), [])
        [warning, other] = self.warnings(env={"WSMB_DATABASE_PASWORD": SECRET, "WSMB_QQQQQQQQQQ": SECRET})
        self.assertEqual(
            warning,
            "environment WSMB_DATABASE_PASWORD: unknown, not used; did you mean WSMB_DATABASE_PASSWORD?",
        )
        self.assertIn("remove it", other)


class AnythingTests(ConfigCase):
    """Whatever comes, only SettingError is raised, in one line."""

    _lines = st.one_of(
        st.builds("{}={}".format, st.sampled_from([option.key for option in OPTIONS]), st.text()),
        st.builds("[{}]".format, st.sampled_from(SECTIONS) | st.text()),
        st.text(),
    )

    def assert_settings_or_error(self, ini: bytes | None = None, env: dict[str, str] | None = None) -> None:
        try:
            loaded = self.load_bare(ini, env)
        except SettingError as error:
            self.checked(error)
        else:
            self.assertIsInstance(loaded, Settings)

    @given(st.binary() | st.lists(_lines).map("\n".join).map(str.encode))
    def test_any_file(self, data):
        self.assert_settings_or_error(data)

    @given(
        st.dictionaries(
            st.sampled_from([option.environment for option in OPTIONS if option.environment]),
            st.text(st.characters(exclude_characters="\x00", exclude_categories=())),
        )
    )
    def test_any_environment(self, env):
        self.assert_settings_or_error(env=env)
