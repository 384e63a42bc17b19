"""The broker's figures for Prometheus. They are gathered when they are asked for, from what is counted
anyway: to have them costs messages nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from wsmb import __version__
from wsmb.errors import Code
from wsmb.events import Events
from wsmb.factory import BrokerFactory
from wsmb.figures import Histogram
from wsmb.http.traffic import traffic
from wsmb.webhooks import Webhooks

CONTENT_TYPE: str = CONTENT_TYPE_LATEST
LAG_INTERVAL_S = 0.1
MOST_CHANNELS = 100
"""Of which it is told what waits: those on which most does."""


class Lag:
    """How late the reactor is: each message, answer and timer waits so long for its turn."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._timer: Any = None
        self.histogram = Histogram()
        self._wait()

    def stop(self) -> None:
        """Measure no more."""
        self._timer.cancel()

    def _wait(self) -> None:
        self._due_s = self._reactor.seconds() + LAG_INTERVAL_S
        self._timer = self._reactor.callLater(LAG_INTERVAL_S, self._look)

    def _look(self) -> None:
        self.histogram.add(max(self._reactor.seconds() - self._due_s, 0.0))
        self._wait()


class HttpFigures(NamedTuple):
    """What the HTTP side has now, and has had since the start."""

    connections: int
    streams: int
    unacknowledged: int
    """Requests whose deliveries are not all acknowledged."""
    items_in: int
    items_out: int
    answered: Mapping[int, int]
    """Answers by status."""


class Process(ProcessCollector):
    """What the system knows of this process.

    The original wants the time of the boot from /proc/stat, and tells nothing where that is hidden: as by
    `ProcSubset=pid` in the systemd unit.
    """

    def _boot_time(self) -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Metrics(Collector):
    """All of them."""

    def __init__(
        self,
        factory: BrokerFactory,
        lag: Lag,
        http: Callable[[], HttpFigures],
        events: Events,
        webhooks: Webhooks,
    ) -> None:
        self._factory = factory
        self._broker = factory.broker
        self._lag = lag
        self._http = http
        self._events = events
        self._webhooks = webhooks
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        Process(registry=self._registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        found: bytes = generate_latest(self._registry)
        return found

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        yield InfoMetricFamily("wsmb", "The broker.", {"version": __version__})
        yield from self._of_connections()
        yield from self._of_messages()
        yield from self._of_failures()
        yield from self._of_store()
        yield from self._of_http()
        yield from self._of_events()
        yield _histogram("wsmb_reactor_lag_seconds", "How late timers are called.", self._lag.histogram)

    def _of_connections(self) -> Iterator[Metric]:
        factory, now = self._factory, traffic(self._factory)
        yield _gauge("wsmb_connections", "WebSockets that are open.", len(factory.connections))
        yield _counter("wsmb_connections_opened", "WebSockets that were opened.", factory.opened_count)
        yield _gauge("wsmb_handshakes", "TCP connections not let in yet.", factory.door.handshakes)
        yield _gauge(
            "wsmb_channels", "Channels that are received on, or not settled.", len(self._broker.channels)
        )
        yield _counter("wsmb_frames_received", "Frames from WebSockets.", now.frames_in)
        yield _counter("wsmb_frames_sent", "Frames to WebSockets.", now.frames_out)
        buffers = {
            "intake": self._broker.intake.bytes,
            "held": self._broker.held_bytes,
            "outgoing": now.queued_bytes,
        }
        yield _labelled(GaugeMetricFamily, "wsmb_buffer_bytes", "What is in memory.", "buffer", buffers)

    def _of_messages(self) -> Iterator[Metric]:
        failed, proved = self._broker.settled
        outcomes = {"proved": proved, "failed": failed}
        yield _labelled(
            CounterMetricFamily, "wsmb_deliveries", "Frames that were followed.", "outcome", outcomes
        )
        yield _gauge("wsmb_outstanding_frames", "Frames that are not proved yet.", self._factory.outstanding)
        what = dict.fromkeys(("redelivered", "dead", "expired", "lost"), 0) | self._broker.counts
        for name, count in what.items():
            yield _counter(f"wsmb_items_{name}", f"Items that were {name}.", count)

    def _of_failures(self) -> Iterator[Metric]:
        # With those that may come: what has never been seen before has no rate.
        refused = {code.number: 0 for code in Code if code is not Code.ACCEPTED} | self._broker.intake.refused
        yield _labelled(
            CounterMetricFamily, "wsmb_commands_refused", "By the codes of errors.", "code", refused
        )
        refused = dict.fromkeys(("401", "403", "429", "503"), 0) | self._factory.refusals
        yield _labelled(
            CounterMetricFamily, "wsmb_requests_refused", "By HTTP status or reason.", "reason", refused
        )

    def _of_store(self) -> Iterator[Metric]:
        stock, figures = self._broker.store.stock, self._broker.store.figures
        yield _gauge("wsmb_waiting_items", "Items in the store.", stock.items)
        yield _gauge("wsmb_waiting_bytes", "Their size.", stock.bytes)
        # A label for each channel there is would be as many as senders can make up names.
        largest = {channel: count[0] for channel, count in stock.largest(MOST_CHANNELS)}
        yield _labelled(
            GaugeMetricFamily, "wsmb_channel_waiting_items", "Where most of them are.", "channel", largest
        )
        yield _counter("wsmb_store_items_added", "Items that were to be kept.", figures.added)
        yield _counter(
            "wsmb_store_items_removed", "Items that were to be forgotten, proved or not.", figures.removed
        )
        yield _gauge("wsmb_store_queue", "Operations that wait for the database.", figures.queued)
        yield _histogram(
            "wsmb_store_transaction_seconds", "Transactions, to their commit.", figures.transactions
        )
        yield _labelled(
            CounterMetricFamily,
            "wsmb_store_failures",
            "Transactions that failed, each try.",
            "kind",
            figures.failures,
        )

    def _of_http(self) -> Iterator[Metric]:
        http = self._http()
        yield _gauge("wsmb_http_connections", "TCP connections of the HTTP side.", http.connections)
        yield _gauge("wsmb_http_event_streams", "Event streams.", http.streams)
        yield _gauge(
            "wsmb_http_unacknowledged", "Requests with deliveries to acknowledge.", http.unacknowledged
        )
        yield _counter("wsmb_http_items_received", "Items that came over HTTP.", http.items_in)
        yield _counter("wsmb_http_items_sent", "Items that went out over HTTP.", http.items_out)
        yield _labelled(CounterMetricFamily, "wsmb_http_answers", "By status.", "status", http.answered)

    def _of_events(self) -> Iterator[Metric]:
        events, hooks = self._events, self._webhooks.figures
        yield _labelled(CounterMetricFamily, "wsmb_events", "Events that were told.", "event", events.raised)
        yield _counter("wsmb_events_lost", "Events that could not be told or kept.", events.lost)
        for name, text, values in (
            ("events_delivered", "Events that were taken.", hooks.delivered),
            ("events_given_up", "Events that were given up after all attempts.", hooks.given_up),
            ("events_dropped", "Events that were never sent.", hooks.dropped),
            ("failed_attempts", "Requests that were not answered by 2xx.", hooks.failed_attempts),
        ):
            yield _labelled(CounterMetricFamily, f"wsmb_webhook_{name}", text, "webhook", values)
        yield _labelled(
            GaugeMetricFamily,
            "wsmb_webhook_waiting_events",
            "Events that are not taken yet.",
            "webhook",
            self._webhooks.waiting,
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _labelled(
    kind: Callable[..., Any], name: str, text: str, label: str, values: Mapping[Any, float]
) -> Metric:
    family: Any = kind(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([str(key)], value)
    metric: Metric = family
    return metric


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    buckets = list(zip([*map(str, histogram.bounds), "+Inf"], _sums(histogram.counts), strict=True))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.sum)


def _sums(counts: Iterable[int]) -> Iterator[int]:
    total = 0
    for count in counts:
        total += count
        yield total
