"""The page for people: files that are kept with the package, beside this one, in `page`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from wsmb.http.call import Call
from wsmb.http.routes import FILE, Action, Routes

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from other hosts, nothing that stands in the page itself, and no other site may frame it."""
FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "ask.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "letters.js": "text/javascript; charset=utf-8",
    "tables.js": "text/javascript; charset=utf-8",
    "uPlot.iife.min.js": "text/javascript; charset=utf-8",
    "uPlot.min.css": "text/css; charset=utf-8",
    "uPlot.LICENSE": "text/plain; charset=utf-8",
}


@cache
def _read(name: str) -> bytes:
    return files("wsmb.http").joinpath("page", name).read_bytes()


def _serve(call: Call, name: str) -> None:
    if name not in FILES:
        call.answer({"error": "Not Found"}, 404)
        return
    call.write(_read(name), FILES[name], content_security_policy=POLICY, referrer_policy="no-referrer")


def routes() -> Routes:
    """`/` and what it loads."""
    return {
        ("",): {"GET": Action(lambda call: _serve(call, "index.html"))},
        ("page", FILE): {"GET": Action(lambda call: _serve(call, call.path()[1]))},
    }
