"""Lets go of what Autobahn needs only to be built, and yet keeps: a parser of C, 1.5 MB.

To be imported before what is to take the place that becomes free.
"""

from __future__ import annotations

import gc
import importlib
import sys
from contextlib import suppress

_BUILT = {"autobahn.nvx._utf8validator": "_nvx_utf8validator", "autobahn.nvx._xormasker": "_nvx_xormasker"}
"""Autobahn's builders, which it also runs with, and what they have built."""
_PARSERS = ("cffi", "pycparser")


def let_go() -> None:
    """Done when this is imported."""
    for builder, built in _BUILT.items():
        with suppress(ImportError, AttributeError):  # Autobahn without its C code
            vars(importlib.import_module(builder))["ffi"] = importlib.import_module(built).ffi
    for name in [name for name in sys.modules if name.startswith(_PARSERS)]:
        # Whoever needs them imports them anew.
        del sys.modules[name]
    gc.collect()


let_go()
