"""What ingest makes of a damaged frame: it never raises, loses nothing, and believes nobody."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Final

import jwt

from ingest.delivery import Delivery, Verdict
from ingest.feed import (
    Account,
    Answer,
    Call,
    Dialect,
    Done,
    Effect,
    End,
    Feed,
    Keep,
    Known,
    Next,
    Report,
    Send,
)
from ingest.feeds import FEEDS, WEBHOOKS
from schemas.records import Raw
from tests.fuzz.doors import Broken
from tests.ingest.test_protocol_frames import account
from tests.test_every_provider import FRAMES, Line, frame_of, keys_of, lines

Text = str | bytes

# ---- dialects ---------------------------------------------------------------------------

_GREETINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "assetpay": ('0{"sid":"x","pingInterval":25000,"pingTimeout":20000}', '40{"sid":"y"}'),
    "paymium": ('0{"sid":"x","pingInterval":25000,"pingTimeout":60000}', "40{namespace}", "3"),
    "transak": ('{"event":"pusher:connection_established","data":"{}"}',),
}
"""What a server says until data flows; nothing where a protocol has no greeting."""
_CONTROL: Final[Mapping[str, re.Pattern[bytes]]] = {
    "assetpay": re.compile(rb"[12356]|4[014]"),
    "paymium": re.compile(rb"[1236]|4[014]"),
    "transak": re.compile(rb'.*"event"\s*:\s*"pusher(_internal)?:', re.DOTALL),
}
"""Frames that are the protocol's own and need not be kept."""


@cache
def followed(provider: str) -> tuple[tuple[Feed, Account], ...]:
    """Return the feeds of a provider, each with an account of it."""
    feed, own = FEEDS[provider], account(provider)
    own = replace(own, secrets={**own.secrets, "api_key": "k", "api_secret": "s"})
    if feed.public is None:
        return ((feed, own),)
    return (feed, own), (feed.public, replace(own, name="public", options={}, secrets={}))


def talking(feed: Feed, own: Account) -> Dialect:
    """Return a dialect that was greeted, so that data flows."""
    dialect = feed.dialect(own, None)
    list(dialect.opened())
    for said in _GREETINGS.get(feed.provider, ()):
        list(dialect.received(said.replace("{namespace}", f"/{feed.route}")))
    return dialect


PROTOCOLS: Final = tuple(FRAMES / provider / "protocol.jsonl" for provider in FEEDS)


def is_heard(line: Line) -> bool:
    """Tell whether a recorded line is a frame that a server sent."""
    return line["direction"] == "in" and line["transport"] == "ws" and "frame" in line


def read_by_dialects(provider: str, frame: bytes) -> str:
    """Give a frame to each dialect, as the wire would, and return what it was taken for.

    Raises ``Broken`` if it was neither kept nor the protocol's own, or is in the way of the next.
    """
    doors = [_read(feed, own, _text(frame)) for feed, own in followed(provider)]
    return " ".join(dict.fromkeys(doors))


def _text(frame: bytes) -> Text:
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return frame  # A text frame cannot hold it: such bytes come in a binary one.


def _read(feed: Feed, own: Account, frame: Text) -> str:
    early = feed.dialect(own, None)
    list(early.opened())
    _sent(early.received(frame))
    dialect = talking(feed, own)
    effects = _sent(dialect.received(frame))
    if feed.cursor:
        feed.cursor(frame)
    kept = [effect.frame for effect in effects if isinstance(effect, Keep)]
    if kept not in ([], [frame]):
        raise Broken("a frame was kept twice, or altered")
    is_reported = any(isinstance(effect, Report) for effect in effects)
    if not kept and not is_reported and not _is_control(feed.provider, frame):
        raise Broken("a frame was neither kept nor a word of the protocol")
    if any(isinstance(effect, End) for effect in effects):
        return "ends the connection"
    if not any(isinstance(effect, Keep) for effect in dialect.received(_whole(feed.provider))):
        raise Broken("a frame is in the way of the next")
    return "kept" if kept else "answered"


@cache
def _whole(provider: str) -> str:
    return frame_of(lines(FRAMES / provider / "socket.jsonl")[0]).decode()


def _sent(effects: Iterable[Effect]) -> Sequence[Effect]:
    told = list(islice(effects, 1000))
    for effect in told:
        if isinstance(effect, Send):
            effect.frame.encode()
    return told


def _is_control(provider: str, frame: Text) -> bool:
    told = frame.encode() if isinstance(frame, str) else frame
    return provider in _CONTROL and _CONTROL[provider].match(told) is not None


# ---- REST -------------------------------------------------------------------------------

_MOST_STEPS: Final = 10_000


def read_by_rest(record: Raw) -> str:
    """Give a page to the provider's reading. Raises ``Broken`` if it is lost, or has no end."""
    doors = []
    for feed, own in followed(record.provider):
        if feed.rest is None or (record.route in _OTHERS.get((feed.provider, feed.route), ())):
            continue
        reading = feed.rest.reading(own, Known(now=record.received_at, cursor=None))
        asked = [step.call for step in reading.begin() if isinstance(step, Next)]
        call = next((one for one in asked if one.route == record.route), Call(record.route, "/"))
        answer = Answer(status=200, retry_after=None, body=record.value)
        steps = list(islice(reading.answered(call, answer), _MOST_STEPS))
        over = [step for step in steps if isinstance(step, Next | Done | End)]
        if len(over) != 1 or steps[-1] is not over[0]:
            raise Broken(f"a page leads to {len(over)} next steps")
        kept = [step.frame for step in steps if isinstance(step, Keep)]
        if kept not in ([], [record.value]):
            raise Broken("a page was kept twice, or altered")
        said = any(isinstance(step, Report | End) for step in steps)
        doors.append("kept" if kept else "reported" if said else "held for its next page")
    return " ".join(dict.fromkeys(doors))


_OTHERS: Final = {
    ("paymium", "user"): ("depth", "trades"),
    ("paymium", "public"): ("orders", "withdrawals", "user", "order", "payment"),
}
"""Feed → calls that it does not make, but the provider's other feed."""

# ---- webhooks ---------------------------------------------------------------------------

_LET_IN: Final = frozenset({Verdict.GENUINE, Verdict.QUESTION})


def judged_at_the_door(record: Raw, body: bytes) -> Verdict:
    """Deliver a body under the signature of another. Raises ``Broken`` if an altered one is let in.

    Some sign a part of a body alone: Transak a token, AssetPay's older generation a trade.
    """
    ring = keys_of(record.provider).verification
    delivery = Delivery(headers=record.signature, body=body, received_at=record.received_at)
    verdict = WEBHOOKS[record.provider].judge(delivery, ring)
    if verdict in _LET_IN and not (
        body == record.value or _holds_a_token(body, ring) or _trade(body) == _trade(record.value)
    ):
        raise Broken("an altered body was let in under the signature of another")
    return verdict


def _trade(body: bytes) -> object:
    """Return what the older generation signs: a trade as a tree, whatever its text."""
    try:
        return json.loads(body)["payload"]["trade"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return body


def _holds_a_token(body: bytes, ring: Mapping[str, bytes]) -> bool:
    """Tell by another library whether a key of ours signed what the body holds."""
    try:
        token = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return any(_signed(token, key) for key in ring.values())


def _signed(token: object, key: bytes) -> bool:
    try:
        jwt.PyJWS().decode(str(token), key, algorithms=["HS256"])
    except jwt.PyJWTError:
        return False
    return True
