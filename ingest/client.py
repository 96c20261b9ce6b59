"""HTTP requests, bounded in time and size.

https://docs.aiohttp.org/en/stable/client_reference.html
"""

from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit

import aiohttp

from ingest.feed import Answer, Disconnected, Request

_TIMEOUT = aiohttp.ClientTimeout(total=10)


def session() -> aiohttp.ClientSession:
    """Return what keeps connections open from one request to the next."""
    return aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())


async def ask(http: aiohttp.ClientSession, request: Request, longest: int) -> Answer:
    """Return the answer, whatever its status. A redirect is not followed: it would take our key.

    Raises ``Disconnected`` where there was none, or one of more than ``longest`` bytes.
    """
    host = urlsplit(request.url).netloc
    try:
        async with http.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
        ) as response:
            return Answer(
                status=response.status,
                retry_after=seconds(response.headers.get("Retry-After")),
                body=await _body(response, longest),
            )
    except (aiohttp.ClientError, TimeoutError) as error:
        # The name alone: the text of some errors shows the URL.
        raise Disconnected(f"no answer from {host}: {type(error).__name__}") from error


async def _body(response: aiohttp.ClientResponse, longest: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > longest:
            raise Disconnected(f"an answer of more than {longest} bytes")
    return bytes(body)


def seconds(retry_after: str | None) -> float | None:
    """Return a ``Retry-After`` in seconds; it may be a number or a date.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    except ValueError:
        return None
