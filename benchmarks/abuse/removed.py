"""A user who is removed from the password file, and a certificate that is replaced, beside connections that
are to notice nothing: each gets every message that is sent meanwhile, once and in order, and nothing else.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.abuse.findings import Findings
from benchmarks.servers import SERVER_CORE, on_core
from tests.integration.broker_process import PASSWORD, BrokerProcess, free_port
from tests.integration.raw_client import RawClient, basic, client_frame, command, connect, opening
from tests.integration.reload_case import replace_text
from tests.support_tls import Authority
from wsmb.htpasswd import bcrypt_hash

USERS = 20
CONNECTIONS = 200
ROUNDS = 5
WANTED_S = 5.0
LIMIT_S = 20.0
TICK_S = 0.01
AFTER_S = 1.0
"""How long messages go on after what was waited for."""
CHANNEL = "news"


def receiver(connection: socket.socket, user: str) -> RawClient:
    """One that receives CHANNEL, and has been greeted."""
    frame = client_frame(command("receive-message", CHANNEL))
    client = RawClient(connection, opening(authorization=basic(user)) + frame)
    if client.read_json()["response_code"] != "00":
        raise RuntimeError("not greeted")
    return client


class News:
    """A sender of numbered messages, until something has happened."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._sent = 0

    def until(self, has_happened: Callable[[], bool]) -> float:
        """Seconds until it has; LIMIT_S if it has not within them."""
        began = time.monotonic()
        happened_s = LIMIT_S
        while time.monotonic() - began < min(LIMIT_S, happened_s + AFTER_S):
            self._client.publish(CHANNEL, self._sent, number_of_receiver=0)
            self._sent += 1
            if happened_s == LIMIT_S and has_happened():
                happened_s = time.monotonic() - began
            time.sleep(TICK_S)
        return happened_s

    def harmed(self, receivers: Sequence[RawClient]) -> int:
        """How many of them did not get all that has been sent so far, or anything else."""
        sent, self._sent = self._sent, 0
        return sum(not _has_all(one, sent) for one in receivers)


def _has_all(one: RawClient, sent: int) -> bool:
    try:
        return one.read_items(sent) == list(range(sent)) and not one.fence()
    except (EOFError, OSError, AssertionError, KeyError):
        return False


def have_ended(all_of_them: Sequence[RawClient]) -> bool:
    """Whether the broker has ended these connections."""
    return not [one for one in all_of_them if not has_ended(one)]


def has_ended(one: RawClient) -> bool:
    """Whether the broker has ended the connection. What came before that is lost."""
    one.socket.setblocking(False)
    try:
        while one.socket.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def remove_users(folder: Path, found: Findings) -> None:
    """One user after another."""
    broker = BrokerProcess(folder)
    password_hash = bcrypt_hash(PASSWORD.encode(), 4)
    users = [f"user{number}" for number in range(USERS)]
    left = ["sender", *users]
    file = folder / "users"
    file.write_text("".join(f"{user}:{password_hash}\n" for user in left))
    with on_core(SERVER_CORE):
        broker.start()
    with ExitStack() as stack:
        stack.callback(broker.kill9)
        news = News(receiver_of_nothing(broker.port))
        inside = {
            user: [receiver(connect(broker.port), user) for _ in range(CONNECTIONS // USERS)]
            for user in users
        }
        for user in users[:ROUNDS]:
            gone = inside.pop(user)
            left.remove(user)
            replace_text(file, "".join(f"{one}:{password_hash}\n" for one in left))
            gone_s = news.until(lambda: have_ended(gone))  # noqa: B023 (called at once)
            others = [one for receivers in inside.values() for one in receivers]
            harmed = news.harmed(others)
            found.row("a user is removed", gone_s, len(gone), len(others), harmed)
            found.claim(f"{user} is out within {WANTED_S:g} s", gone_s <= WANTED_S)
            found.claim(f"{user} is out, and no other connection notices", not harmed)
            for one in gone:
                one.close()
        broker.stop()


def receiver_of_nothing(port: int) -> RawClient:
    """The sender."""
    client = RawClient(connect(port), opening(authorization=basic("sender")))
    client.read_json()
    return client


def replace_certificates(folder: Path, found: Findings) -> None:
    """One certificate after another."""
    authority, port = Authority(folder), free_port()
    key, certificate = authority.write("number 0", hosts=("127.0.0.1",), file_name="server")
    listen = f"ssl:{port}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    broker = BrokerProcess(folder, listen=[listen])
    (folder / "users").write_text(f"sender:{bcrypt_hash(PASSWORD.encode(), 4)}\n")
    context = ssl.create_default_context(cafile=str(authority.file))
    with on_core(SERVER_CORE):
        broker.start()

    def tls() -> ssl.SSLSocket:
        return context.wrap_socket(connect(port), server_hostname="127.0.0.1")

    def shown() -> str:
        with closing(tls()) as near:
            subject = near.getpeercert()["subject"]  # type: ignore[index]
        return str(dict(pair for part in subject for pair in part)["commonName"])

    with ExitStack() as stack:
        stack.callback(broker.kill9)
        news = News(receiver_of_nothing(broker.port))
        inside = [receiver(tls(), "sender") for _ in range(CONNECTIONS)]
        for number in range(1, 1 + ROUNDS):
            name = f"number {number}"
            authority.write(name, hosts=("127.0.0.1",), file_name="server")
            seen_s = news.until(lambda: shown() == name)  # noqa: B023 (called at once)
            harmed = news.harmed(inside)
            found.row("a certificate is replaced", seen_s, 0, len(inside), harmed)
            found.claim(f"certificate {name} is shown within {WANTED_S:g} s", seen_s <= WANTED_S)
            found.claim(f"certificate {name} is shown, and no connection notices", not harmed)
        broker.stop()


def measure(folder: Path) -> Findings:
    """Both."""
    found = Findings(("what", "done after, s", "connections ended", "others", "of them harmed"))
    for name, carry_out in (("users", remove_users), ("certificates", replace_certificates)):
        own = folder / name
        own.mkdir()
        carry_out(own, found)
    return found
