"""The pages a person sees: what this is, what it got last, and where a room link leads in a demo."""

from collections.abc import Iterable
from html import escape

from aiohttp import web

from demo.standins.behaviour import Mood
from demo.standins.store import Accepted, Store

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#161a21, #e8ebef); --dim: light-dark(#5a6573, #98a3b1);
  --bg: light-dark(#f5f6f8, #0d1014); --card: light-dark(#fff, #161a20); --line: light-dark(#e0e4e9, #2a313b);
  --critical: light-dark(#a8191d, #ff9d95); --warning: light-dark(#7a4500, #f3c067);
  --info: light-dark(#3c4f64, #b3c4d6); }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; font: 1rem/1.5 system-ui, sans-serif; background: var(--bg);
  color: var(--ink); }
main { max-width: 46rem; margin: 0 auto; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 2rem; overflow-wrap: anywhere; }
p { margin: 0 0 1rem; } .dim { color: var(--dim); }
section { margin-top: 1.5rem; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
h2 { margin: 0 0 .5rem; font-size: 1rem; }
ol { list-style: none; margin: 0; padding: 0; }
li { padding: .5rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
li:first-child { border-top: 0; }
.severity { font-weight: 600; } .critical { color: var(--critical); } .warning { color: var(--warning); }
.info { color: var(--info); } time { font-variant-numeric: tabular-nums; }
code { font-family: ui-monospace, monospace; font-size: .875rem; white-space: nowrap; }
"""


class Pages:
    """HTML without scripts or foreign assets; every text from outside is escaped."""

    def __init__(self, store: Store, mood: Mood) -> None:
        self._store = store
        self._mood = mood

    def routes(self) -> list[web.RouteDef]:
        """The paths of the pages."""
        return [
            web.get("/", self.index),
            web.get("/style.css", self.style),
            web.get("/rooms/{room_id}", self.room),
        ]

    async def style(self, request: web.Request) -> web.Response:
        """The one stylesheet."""
        return web.Response(text=STYLE, content_type="text/css", headers=SECURITY)

    async def room(self, request: web.Request) -> web.Response:
        """Where a supervisor would sit in the customer's room."""
        room_id = escape(request.match_info["room_id"])
        return _page(
            f"Room {room_id}",
            f"<h1>Room {room_id}: the chat product would be here</h1>"
            "<p>In production this link opens the live conversation, and the supervisor writes to the "
            "customer. This is a demo, so the road ends at this page.</p>",
        )

    async def index(self, request: web.Request) -> web.Response:
        """What this is, how it behaves now, and the last notifications."""
        mode = escape(self._mood.current.mode)
        body = (
            "<h1>Stand-in for notification-service</h1>"
            "<p>Development, demos and tests talk to this server as if it were the real one: it checks every "
            "signature and every body, remembers every key, and can be told to misbehave.</p>"
            f'<p class="dim">Mode <strong>{mode}</strong> · {len(self._store):,} requests · '
            f"{len(self._store.by_key):,} notifications · <code>GET /_log</code> <code>GET /_health</code> "
            "<code>PUT /_behaviour</code> <code>PUT /_tokens</code> <code>PUT /_receipts</code></p>"
            f"<section><h2>Last notifications (UTC)</h2>{_list(reversed(self._store.recent))}</section>"
        )
        return _page("Stand-in for notification-service", body)


def _list(notifications: Iterable[Accepted]) -> str:
    rows = "".join(
        f"<li><time>{escape(one.at[11:19])}</time> "
        f'<span class="severity {escape(one.severity)}">{escape(one.severity)}</span> '
        f'{escape(one.title)} <span class="dim">to {escape(one.sso_id)}, '
        f"push {escape(str(one.answer['push']))}</span></li>"
        for one in notifications
    )
    return f"<ol>{rows}</ol>" if rows else '<p class="dim">None yet.</p>'


def _page(title: str, body: str) -> web.Response:
    """`title` and `body` are HTML, already escaped."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="stylesheet" href="/style.css"></head>'
        f"<body><main>{body}</main></body></html>"
    )
    return web.Response(text=html, content_type="text/html", headers=SECURITY)
