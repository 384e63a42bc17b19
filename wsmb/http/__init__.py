"""The HTTP side: sending and receiving for those who cannot hold a WebSocket, and the broker's health.

Nothing here is imported unless `[http] listen` is set.
"""
