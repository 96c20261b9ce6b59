"""What the end of a connection means where a dialect does not say otherwise.

https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
"""

from collections.abc import Callable, Mapping

from ingest.feed import (
    After,
    AtOnce,
    BackOff,
    Close,
    Disconnected,
    FeedError,
    Pause,
    Refusal,
    Refused,
    Unauthorized,
)

Meaning = Callable[[str], FeedError]
"""From what was said to what it means."""

NO_MEANINGS: Mapping[int, Meaning] = {}
_RATE_LIMITED = 429
_SERVER_ERRORS = range(500, 600)
_RATE_PAUSE = 60.0
_LONG = 300.0


def dial_again(pause: Pause) -> Meaning:
    """Return the meaning "it may work again after this pause"."""
    return lambda said: Disconnected(said, pause)


def _policy(said: str) -> FeedError:
    """1008 does not say which policy: most often it is the credential."""
    return Unauthorized(said, then=Disconnected(said, After(_LONG)))


_CLOSES: Mapping[int, Meaning] = {
    1001: dial_again(AtOnce()),
    1005: dial_again(AtOnce()),
    1006: dial_again(AtOnce()),
    1008: _policy,
    1012: dial_again(AtOnce()),
}

_REFUSALS: Mapping[int, Meaning] = {
    400: Refused,
    401: Unauthorized,
    403: Unauthorized,
    404: Refused,
}


def of_close(close: Close, special: Mapping[int, Meaning] = NO_MEANINGS) -> FeedError:
    """Return what a close means; ``special`` is code → meaning. Unlisted codes back off."""
    said = f"closed with {close.code} {close.reason}".rstrip()
    meaning = special.get(close.code) or _CLOSES.get(close.code, Disconnected)
    return meaning(said)


def of_refusal(refusal: Refusal, special: Mapping[int, Meaning] = NO_MEANINGS) -> FeedError:
    """Return what a refused upgrade means; ``special`` is status → meaning.

    An unlisted status backs off: asking once a minute costs nothing, stopping might.
    """
    said = f"refused with {refusal.status} {refusal.excerpt}".rstrip()
    if meaning := special.get(refusal.status) or _REFUSALS.get(refusal.status):
        return meaning(said)
    if refusal.status == _RATE_LIMITED:
        return Disconnected(said, After(refusal.retry_after or _RATE_PAUSE))
    if refusal.status in _SERVER_ERRORS and refusal.retry_after:
        return Disconnected(said, After(refusal.retry_after))
    return Disconnected(said, BackOff())
