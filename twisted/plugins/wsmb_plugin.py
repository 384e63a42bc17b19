"""Makes `twistd wsmb` known to Twisted, without importing wsmb for every `twistd --help`."""

from twisted.application.service import ServiceMaker

wsmb = ServiceMaker("wsmb", "wsmb.service", "A WebSocket message broker.", "wsmb")
