"""Tests for wsmb.opening: what comes, or goes, while a password is being checked."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support import parse_frames
from tests.support_protocol import Connection, World, basic, client_frame, request

RECEIVE = b'{"command":"receive-message","channel":"c"}'
SEND = b'{"command":"send-message","channel":"c","data":[1]}'
PROTOCOL_ERROR = (1002).to_bytes(2, "big")


class PendingCheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one = World()
        self.addCleanup(self.one.close)

    def pending(self, data: bytes = request()) -> Connection:
        """A connection whose password is being checked."""
        self.one.checker.at_once = False
        connection = self.one.connect()
        connection.receive(data)
        self.assertEqual(self.one.checker.asked[-1:], ["qa"])
        return connection

    def assert_never_opened(self, connection: Connection) -> None:
        self.one.checker.answer()
        self.one.clock.advance(1)
        self.assertIsNone(connection.protocol.session)
        self.assertEqual((self.one.factory.connections, connection.taken()), (set(), b""))
        self.assertEqual((self.one.factory.door.connections, self.one.factory.door.handshakes), (0, 0))

    def test_gone(self) -> None:
        """Autobahn would open a session on the dead socket that nothing ever closes."""
        connection = self.pending(request() + client_frame(RECEIVE))
        connection.lose()
        self.assert_never_opened(connection)

    def test_aborted_but_not_gone_yet(self) -> None:
        """A transport tells of the end in a later turn; the answer of the check can come before."""
        connection = self.pending()
        connection.transport.abortConnection = lambda: None
        connection.receive(bytes(100_000))
        self.one.checker.answer()
        self.assertIsNone(connection.protocol.session)
        self.assertEqual((self.one.factory.connections, connection.taken()), (set(), b""))
        connection.lose()
        self.assert_never_opened(connection)

    def test_a_second_request(self) -> None:
        """Autobahn would run onConnect again and open the session as the second, unverified user."""
        for second in (basic("admin", "wrong"), basic("admin", "right"), None):
            connection = self.pending()
            asked = len(self.one.checker.asked)
            connection.receive(request(authorization=second))
            self.assertEqual((connection.taken(), connection.is_open), (b"", True))
            self.one.checker.answer()
            self.assertEqual((len(self.one.checker.asked), connection.protocol.user), (asked, "qa"))
            head, _, rest = connection.taken().partition(b"\r\n\r\n")
            self.assertIn(b" 101 ", head)
            ((first, payload),) = parse_frames(rest)
            self.assertEqual((first, payload[:2]), (0x88, PROTOCOL_ERROR))

    def test_frames(self) -> None:
        receiver = self.one.greeted()
        receiver.receive(client_frame(RECEIVE))
        connection = self.pending(request() + client_frame(SEND)[:5])
        connection.receive(client_frame(SEND)[5:])
        self.assertEqual(receiver.payloads(), [])
        self.one.checker.answer()
        self.assertEqual(receiver.payloads(), [SEND])

    def test_a_flood(self) -> None:
        connection = self.pending()
        for _ in range(2):
            connection.receive(bytes(50_000))
        self.assertTrue(connection.transport.aborted)
        self.assert_never_opened(connection)

    def test_longer_than_a_handshake_may_take(self) -> None:
        connection = self.pending()
        self.one.clock.pump([1] * 60)
        self.one.checker.answer()
        self.assertIn(b" 101 ", connection.taken())
