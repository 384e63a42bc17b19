"""Users who are removed, or get another password, while they are connected."""

from __future__ import annotations

from tests.integration.raw_client import CLOSE, PING, RawClient, basic, command, opening
from tests.integration.reload_case import ReloadCase, replace_text

KEEPING = "[server]\nkeep_data = true\n"


class UsersTests(ReloadCase):
    def test_a_removed_user_is_out_and_no_other_is_harmed(self) -> None:
        broker = self.broker(KEEPING)
        gone = self.as_user(broker, "apr1", command("receive-message", "sms"))
        stays = self.as_user(broker, "sha", command("receive-message", "other"))
        sender = self.sender(broker)
        sender.publish("sms", "unproved")
        self.assertEqual(gone.read_items(1), ["unproved"])
        self.remove_user(broker, "apr1")
        sent = 0
        while not self.has_ended(gone):
            sender.publish("sms", sent)
            sender.publish("other", sent)
            self.assertEqual(sender.fence(), [])
            sent += 1
        refused = self.client(broker, opening(authorization=basic("apr1")))
        self.assertEqual(refused.status, 401)
        self.assertEqual(stays.read_items(sent), list(range(sent)))
        heir = self.as_user(broker, "sha", command("receive-message", "sms"))
        self.assertEqual(heir.read_items(sent + 1), ["unproved", *range(sent)])
        self.assertEqual(stays.fence() + sender.fence(), [])

    def has_ended(self, client: RawClient) -> bool:
        """Whether the broker has ended the connection, which proves nothing of what it gets meanwhile."""
        try:
            client.read_frame(0.01)
        except TimeoutError:
            return False
        except (EOFError, ConnectionResetError):
            return True
        return False

    def test_who_used_an_extension_is_told_why(self) -> None:
        broker = self.broker()
        gone = self.as_user(broker, "apr1", command("ping", "-"))
        gone.send_text(command("receive-message", "sms", confirm=1))
        gone.read_json()
        self.remove_user(broker, "apr1")
        frame = gone.read_frame()
        while frame.first == 0x80 | PING:
            frame = gone.read_frame()
        self.assertEqual((frame.first, frame.payload[:2]), (0x80 | CLOSE, (1008).to_bytes(2, "big")))
        # Without its answer, too, it is out.
        self.assertEqual(gone.read_to_end(), b"")

    def test_who_does_not_read_is_out_as_well(self) -> None:
        broker = self.broker()
        gone = self.client(broker, opening(authorization=basic("apr1")), receive_buffer_bytes=4_096)
        gone.send_text(command("receive-message", "sms"))
        gone.read_json()
        sender = self.sender(broker)
        for _ in range(10):
            sender.publish("sms", "x" * 500_000)
        sender.fence()
        self.remove_user(broker, "apr1")
        self.logged(broker, "apr1 at ")

    def test_another_password(self) -> None:
        broker = self.broker()
        users = broker.folder / "users"
        gone = self.as_user(broker, "sha", command("receive-message", "sms"))
        replace_text(users, users.read_text().replace("{SHA}", "{SHA}A"))
        self.assertEqual(gone.read_to_end(), b"")

    def test_users_count_although_the_settings_are_bad(self) -> None:
        broker = self.broker()
        gone = self.as_user(broker, "apr1", command("receive-message", "sms"))
        self.write(broker, "nonsense")
        self.remove_user(broker, "apr1")
        self.assertEqual(gone.read_to_end(), b"")
        self.logged(broker, "the settings stay as they were")
