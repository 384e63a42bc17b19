"""What is done to a world, each at a random moment. Times that pass in between are in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.actors import ReceiverActor
from chaos.check import Fault
from chaos.connection import now_us
from chaos.databases import ServerDatabase
from chaos.power import Disk
from chaos.proxy import Proxy
from chaos.world import World

_AWAY_S = 0.3
_FROZEN_S = 1.5
_FAILING_S = 1.0
_STALLED_S = 1.0
_VISIT_S = 1.0
_CONFIRM_S = 0.2


def kill_broker(world: World) -> Fault:
    """With kill -9."""
    _maybe_await_confirm(world)
    began_us = now_us()
    world.broker.kill9()
    return _restarted(world, "broker killed", began_us)


def stop_broker(world: World) -> Fault:
    """With SIGTERM."""
    began_us = now_us()
    world.broker.stop()
    return _restarted(world, "broker stopped", began_us)


def cut_power(world: World) -> Fault:
    """kill -9, and what was not synced is undone: mostly all of it, else the last writes of each file."""
    _maybe_await_confirm(world)
    began_us = now_us()
    world.broker.kill9()
    _disk(world).cut_power(world.random if world.random.random() < 0.3 else None)
    return _restarted(world, "power cut", began_us)


def fail_fsync(world: World) -> Fault:
    """For a while fsync fails, often or always."""
    began_us = now_us()
    _disk(world).fail_fsyncs(world.random.choice((0.3, 1.0)))
    _pass_up_to(world, _FAILING_S)
    _disk(world).fail_fsyncs(0)
    return Fault("fsync failing", began_us, now_us())


def fail_fsync_and_cut_power(world: World) -> Fault:
    """What was confirmed while fsync failed must not have been."""
    _disk(world).fail_fsyncs(world.random.choice((0.3, 1.0)))
    _pass_up_to(world, _FAILING_S)
    began_us = now_us()
    world.broker.kill9()
    _disk(world).fail_fsyncs(0)
    _disk(world).cut_power()
    return _restarted(world, "power cut", began_us)


def kill_ack_receiver(world: World) -> Fault | None:
    """With kill -9."""
    return _kill_receiver(world, acknowledges=True)


def kill_php_receiver(world: World) -> Fault | None:
    """With kill -9."""
    return _kill_receiver(world, acknowledges=False)


def kill_database(world: World) -> Fault:
    """With kill -9."""
    database = _server(world)
    _maybe_await_confirm(world)
    began_us = now_us()
    database.kill()
    _pass_up_to(world, _AWAY_S)
    mended_us = now_us()
    database.start()
    return Fault("database killed", began_us, mended_us)


def freeze_database(world: World) -> Fault:
    """It keeps its connections and answers nothing for a while."""
    database = _server(world)
    began_us = now_us()
    database.freeze()
    _pass_up_to(world, _FROZEN_S)
    database.thaw()
    return Fault("database frozen", began_us, now_us())


def cut_network(world: World) -> Fault:
    """All connections end at once."""
    began_us = now_us()
    _proxy(world).cut()
    return Fault("network cut", began_us, began_us)


def stall_network(world: World) -> Fault:
    """Nothing gets through for a while; what is on its way then is lost with its connection, or goes on."""
    proxy = _proxy(world)
    began_us = now_us()
    proxy.stall()
    _pass_up_to(world, _STALLED_S)
    if world.random.random() < 0.5:
        proxy.cut()
    proxy.flow()
    return Fault("network stalled", began_us, now_us())


def visit(world: World) -> None:
    """Receivers of the channels that nobody receives on come and go."""
    for visitor in world.visitors:
        visitor.start(world.port)
    _pass_up_to(world, _VISIT_S)
    for visitor in world.visitors:
        visitor.leave()


FAULTS: dict[str, Callable[[World], Fault | None]] = {
    function.__name__: function
    for function in (
        kill_broker,
        stop_broker,
        cut_power,
        fail_fsync,
        fail_fsync_and_cut_power,
        kill_ack_receiver,
        kill_php_receiver,
        kill_database,
        freeze_database,
        cut_network,
        stall_network,
        visit,
    )
}


def _restarted(world: World, what: str, began_us: int) -> Fault:
    mended_us = now_us()
    world.broker.start()
    return Fault(what, began_us, mended_us)


def _kill_receiver(world: World, acknowledges: bool) -> Fault | None:
    living = [receiver for receiver in world.receivers if receiver.acknowledges is acknowledges]
    receiver: ReceiverActor = world.random.choice(living)
    began_us = now_us()
    if world.random.random() < 0.8:
        receiver.kill_at_bad_moment()
    else:
        receiver.kill()
    if world.random.random() < 0.3:
        _pass_up_to(world, _AWAY_S)
    receiver.start(world.port)
    return Fault("receiver killed", began_us, None)


def _maybe_await_confirm(world: World) -> None:
    """Every other time: until a moment after a confirm, which is the worst one if it was given too early."""
    if world.random.random() < 0.5:
        return
    deadline_s = time.monotonic() + _CONFIRM_S
    written = world.written_by_senders()
    while world.written_by_senders() == written and time.monotonic() < deadline_s:
        pass


def _pass_up_to(world: World, longest_s: float) -> None:
    time.sleep(world.random.uniform(0, longest_s))


def _disk(world: World) -> Disk:
    if world.disk is None:
        raise ValueError("the scenario has no disk whose power can be cut")
    return world.disk


def _server(world: World) -> ServerDatabase:
    if not isinstance(world.database, ServerDatabase):
        raise ValueError("the scenario has no database server")
    return world.database


def _proxy(world: World) -> Proxy:
    if world.proxy is None:
        raise ValueError("the scenario has no network")
    return world.proxy
