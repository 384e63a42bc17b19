"""Tests for wsmb.client.twisted, against the broker's own protocol over in-memory transports."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import RecordingConnection
from tests.support_protocol import Connection, Transport, World
from wsmb import frames
from wsmb.client import commands, core
from wsmb.client.losses import describe, is_untrusted
from wsmb.client.silence import SILENCE_TICKS
from wsmb.client.target import Target
from wsmb.client.twisted import TICK_S, ClientFactory

SECRET = "right"
PING_FRAME = 0x89


class ClientTransport(Transport):
    """Does not mind, as TCP does not, that no producer is registered."""

    def unregisterProducer(self) -> None:
        self.producer = None


class RecordingConversation:
    """A wsmb.client.core.Conversation that remembers what it was told."""

    def __init__(self) -> None:
        self.connection: Any = RecordingConnection()
        self.events: list[core.Event] = []
        self.losses: list[core.Loss] = []

    def opened(self, connection: core.Connection) -> None:
        self.connection = connection

    def received(self, event: core.Event) -> None:
        self.events.append(event)

    def lost(self, loss: core.Loss) -> None:
        self.losses.append(loss)


class ClientTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.logged = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.world = World()
        self.addCleanup(self.world.close)
        self.conversation = RecordingConversation()
        self.delays = core.Backoff(lambda: 1.0)

    def connect(self, password: str = SECRET, host: str = "broker") -> None:
        target = Target(False, host, 8888, "/", "qa", password)
        self.factory = ClientFactory(target, self.conversation, self.delays, self.world.clock)
        self.protocol = self.factory.buildProtocol(None)
        self.transport = ClientTransport()
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)
        self.broker: Connection = self.world.connect()

    def exchange(self) -> None:
        """Carry over what either side has written, until neither writes any more."""
        while True:
            up, down = self.transport.value(), self.broker.taken()
            self.transport.clear()
            if up:
                self.broker.receive(up)
            if down:
                self.protocol.dataReceived(down)
            if not up and not down:
                return

    def open(self) -> None:
        self.connect()
        self.exchange()
        self.world.clock.advance(0.1)
        self.exchange()


class OpeningTests(ClientTestCase):
    def test_in(self) -> None:
        self.open()
        self.assertIs(self.conversation.connection, self.protocol)
        self.assertEqual([event.is_accepted for event in self.conversation.events], [True])
        self.assertEqual(self.world.checker.asked, ["qa"])

    def test_tcp_nodelay(self) -> None:
        self.connect()
        self.assertTrue(self.transport.no_delay)

    def test_an_ipv6_host_has_brackets(self) -> None:
        self.connect(host="::1")
        self.assertIn(b"\r\nHost: [::1]:8888\r\n", self.transport.value())

    def test_refused(self) -> None:
        self.connect(password="wrong")
        self.exchange()
        self.assertEqual(
            self.conversation.losses, [core.Loss("ws://broker:8888/: refused: 401 Unauthorized", 401)]
        )

    def test_not_before_the_broker_wants_it(self) -> None:
        self.connect()
        self.protocol.dataReceived(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n")
        (loss,) = self.conversation.losses
        self.assertEqual((loss.status, loss.retry_after_s, loss.is_refusal), (503, 7.0, False))
        self.assertEqual(self.factory.retry_after_s, 7.0)

    def test_an_answer_that_is_no_http(self) -> None:
        self.connect()
        self.protocol.dataReceived(b"SSH-2.0-x\r\n\r\n")
        self.assertEqual([loss.status for loss in self.conversation.losses], [None])

    def test_the_password_is_neither_logged_nor_kept(self) -> None:
        self.open()
        authorization = self.factory.target.authorization
        kept = str({**vars(self.protocol), "factory": None})
        logged = "".join(str(event) for event in self.logged)
        for text in (SECRET, authorization, authorization.removeprefix("Basic ")):
            self.assertNotIn(text, kept + logged)


class TalkTests(ClientTestCase):
    def test_there_and_back(self) -> None:
        self.open()
        self.protocol.send(commands.receive_message("sms"))
        self.exchange()
        sender = self.world.greeted()
        sender.protocol.session.frames_received([commands.send_message("sms", b'{"a": 1}')])
        self.exchange()
        self.assertEqual(self.conversation.events[-1].lines(), [b'{"a":1}'])

    def test_answers_pings(self) -> None:
        self.open()
        self.broker.protocol.ping()
        self.exchange()
        self.assertTrue(self.broker.protocol.heard)

    def test_nothing_is_sent_once_it_has_ended(self) -> None:
        self.open()
        self.broker.lose()
        self.transport.loseConnection()
        self.protocol.send(commands.PING)
        self.assertEqual(self.conversation.losses, [core.Loss("ws://broker:8888/: closed by the broker")])

    def test_close_code(self) -> None:
        self.open()
        self.broker.protocol.sendCloseFrame(1009, b"too big")
        self.exchange()
        self.transport.loseConnection()
        self.assertEqual(
            self.conversation.losses,
            [core.Loss("ws://broker:8888/: closed by the broker: 1009 too big", close_code=1009)],
        )

    def test_abort_drops_what_came_and_answers_no_ping(self) -> None:
        self.open()
        self.conversation.received = lambda event: self.protocol.abort()
        message = frames.text_frame(commands.send_message("c", b"1"))
        self.protocol.dataReceived(message + frames.ping_frame(b"x"))
        self.assertEqual((self.transport.value(), self.transport.aborted), (b"", True))

    def test_backoff_begins_anew_once_the_broker_has_spoken(self) -> None:
        self.connect()
        for _ in range(3):
            self.delays.next_delay_s()
        self.exchange()
        self.assertEqual(self.delays.next_delay_s(), 1.6)
        self.world.clock.advance(0.1)
        self.exchange()
        self.assertEqual(self.delays.next_delay_s(), 0.2)

    def test_a_stopping_client_tells_nothing_more(self) -> None:
        self.open()
        self.factory.is_stopping = True
        self.transport.loseConnection()
        self.assertEqual(self.conversation.losses, [])


class SilenceTests(ClientTestCase):
    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.world.clock.advance(TICK_S)

    def test_pings_when_idle(self) -> None:
        self.open()
        self.ticks(2)
        self.assertEqual(self.transport.value(), b"")
        self.ticks(1)
        self.assertEqual(self.transport.value()[0], PING_FRAME)
        self.exchange()
        self.ticks(SILENCE_TICKS - 1)
        self.assertFalse(self.transport.aborted)

    def test_ends_a_silent_connection(self) -> None:
        self.open()
        self.ticks(SILENCE_TICKS)
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.conversation.losses, [core.Loss("ws://broker:8888/: silent for 60 s")])

    def test_a_process_that_has_slept_reads_first(self) -> None:
        self.open()
        self.world.clock.advance(10 * SILENCE_TICKS * TICK_S)
        self.assertFalse(self.transport.aborted)

    def test_no_timer_stays(self) -> None:
        self.open()
        self.broker.lose()
        self.transport.loseConnection()
        self.assertEqual(self.world.clock.getDelayedCalls(), [])


class DescriptionTests(SynchronousTestCase):
    def test_untrusted(self) -> None:
        for exception, expected in (
            (SSL.Error([("SSL routines", "", "certificate verify failed")]), True),
            (SSL.Error([("SSL routines", "", "wrong version number")]), False),
            (SSL.Error(), False),
            (error.ConnectionDone(), False),
        ):
            self.assertIs(is_untrusted(Failure(exception)), expected)

    def test_why(self) -> None:
        for exception, text in (
            (error.ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
            (error.TimeoutError(), "no answer"),
            (error.DNSLookupError("no results for hostname lookup: x"), "no such host"),
            (error.ConnectionDone(), "closed by the broker"),
            (OSError("a\nb"), "a b"),
        ):
            self.assertEqual(describe(Failure(exception)), text)
