"""SatoriEx, words to a user: decisions, disputes, mentions and comments.

https://satoriex.io/en/docs/trading/websocket
"""

from collections.abc import Iterator, Mapping
from typing import Final

from processors.mapper import Keys, Part, Statement
from processors.mappers.satoriex import values, wire
from schemas.records import Notice

# Type → topic, and the decision where it is one.
TOPICS: Final[Mapping[str, tuple[str, str | None]]] = {
    "kyc_approved": ("kyc", "approved"),
    "kyc_rejected": ("kyc", "rejected"),
    "proposal_approved": ("proposal", "approved"),
    "proposal_rejected": ("proposal", "rejected"),
    "dispute_filed": ("dispute", "filed"),
    "mention": ("mention", None),
    "comment": ("comment", None),
}


def tell_notice(spoken: wire.Spoken, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell that something was said, and about what; never what people wrote."""
    topic, decision = TOPICS[part.kind]
    own_id = spoken.proposal_id or spoken.dispute_id or spoken.comment_id or spoken.id
    spoken_at = values.moment(spoken.timestamp, spoken.ts, spoken.created_at)
    yield Statement(
        payload=Notice(topic=topic, subject=own_id or spoken.market_id, status=decision),
        action=part.kind,
        provider_type=part.context.type,
        entity_kind="user" if own_id is None else topic,
        entity_id=own_id or part.context.account,
        identity=None if own_id is None else (part.kind, own_id),
        group=spoken.market_id,
        occurred_at=spoken_at,
        version=values.version(spoken_at),
        is_final=True,
    )
