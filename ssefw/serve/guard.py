"""Who may see the pages and who may change something: the token, the cookie, the word of forms.

The address that is printed holds a random token; whoever opens it gets a cookie and never needs the
token again. A page of another site that this browser has open can neither read an answer (its
cookie is not sent along, and answers are for this origin only), nor make a change (it does not know
the word that every form carries), nor reach the server by a name of its own (the name that a
browser asks for must be one of ours).
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CSRF_FIELD", "OWN_NAMES", "Guard", "Keys", "form_of"]

OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""What this machine calls itself; a page elsewhere whose name leads here is none of these."""

CSRF_FIELD = "word"
LARGEST_FORM = 2**16
"""Bytes; the largest form names a thousand candidates."""

HEADERS = {
    # No script, style or picture but those of the server itself, and none within a page.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # What is open here must not be told to whoever is linked to. Not no-referrer, with which
    # browsers do not say either that a form was sent from here.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Keys:
    """The token that lets somebody in, and what follows from it.

    A server that is started again with the same token knows the browsers it knew before.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self.session = self._derived("session")
        self.word = self._derived("word")

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.token.encode(), purpose.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def same(given: str, wanted: str) -> bool:
        """Whether two secrets are the same, in a time that does not tell how much of them is."""
        return hmac.compare_digest(given.encode(), wanted.encode())


async def form_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form; a body that is too large is an empty one."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            return {}
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return fields


class Guard:
    """Lets nobody through without the cookie, and no change from elsewhere.

    Parameters
    ----------
    names
        Names by which browsers may ask for the server, beside `OWN_NAMES`.
    cookie
        Name of the cookie; servers on several ports of a machine share their cookies.
    read_only
        Whether every change is refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        cookie: str,
        names: Iterable[str] = (),
        read_only: bool = False,
    ) -> None:
        self._app = app
        self._keys = keys
        self._cookie = cookie
        self._names = {name.lower() for name in (*OWN_NAMES, *names)}
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        refused = self._refusal(request)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if refused is None:
            await self._app(scope, receive, sealed)
        else:
            await refused(scope, receive, sealed)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that must not pass; None where it may."""
        if _host_name(request.headers) not in self._names:
            return PlainTextResponse(
                "This server is not asked for by that name: open the address it has printed, or "
                "start it with --allow-host NAME.\n",
                status_code=421,
            )
        is_change = request.method not in {"GET", "HEAD"}
        if is_change and not self._is_from_here(request):
            return PlainTextResponse("Changes are made from the pages only.\n", status_code=403)
        is_open = request.url.path.startswith("/static/") or request.url.path == "/login"
        return None if is_open else self._without_right(request, is_change=is_change)

    def _without_right(self, request: Request, *, is_change: bool) -> Response | None:
        """Return the answer to somebody who may not do this; None to whoever may."""
        if token := request.query_params.get("token"):
            return self.let_in(request, token)
        if not self._has_cookie(request):
            return self._ask_for_token(request)
        if is_change and self._read_only:
            return PlainTextResponse(
                "This server only shows: it was started with --read-only.\n", status_code=403
            )
        return None

    def let_in(self, request: Request, token: str) -> Response:
        """Return the way to the page, with the cookie, for whoever has the token."""
        if not self._keys.same(token, self._keys.token):
            return RedirectResponse("/login?wrong=1", status_code=303)
        rest = [(name, value) for name, value in request.query_params.multi_items()
                if name not in {"token", "wrong"}]  # fmt: skip
        path = "/" if request.url.path == "/login" else request.url.path
        query = f"?{urlencode(rest)}" if rest else ""
        # One slash: two would name another server.
        answer = RedirectResponse(f"/{path.lstrip('/')}{query}", status_code=303)
        answer.set_cookie(self._cookie, self._keys.session, httponly=True, samesite="lax")
        return answer

    def _ask_for_token(self, request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", status_code=303)
        said = "The address that `ssefw serve` has printed lets you in.\n"
        return PlainTextResponse(said, status_code=401)

    def _has_cookie(self, request: Request) -> bool:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(request.headers.get("cookie", ""))
        except CookieError:
            return False
        found = jar.get(self._cookie)
        return found is not None and self._keys.same(found.value, self._keys.session)

    def _is_from_here(self, request: Request) -> bool:
        """Whether the browser says that a page of ours made the request."""
        headers = request.headers
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc.lower() == headers["host"].lower()


def _host_name(headers: Headers) -> str:
    host = headers.get("host", "").lower()
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
