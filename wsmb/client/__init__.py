"""Talking to a broker: what is pure in core and target, one thin file for each kind of I/O."""
