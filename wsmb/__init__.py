"""wsmb: a WebSocket message broker on Twisted and Autobahn."""

__version__ = "0.1.0"
