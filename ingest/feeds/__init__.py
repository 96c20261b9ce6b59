"""Every feed we follow. To add a provider, add its line."""

from ingest.feed import Feed
from ingest.feeds.assetpay.socket import FEED as ASSETPAY
from ingest.feeds.paymium.socket import FEED as PAYMIUM
from ingest.feeds.pepay.socket import FEED as PEPAY
from ingest.feeds.satoriex.socket import FEED as SATORIEX
from ingest.feeds.transak.socket import FEED as TRANSAK

FEEDS: dict[str, Feed] = {
    "assetpay": ASSETPAY,
    "paymium": PAYMIUM,
    "pepay": PEPAY,
    "satoriex": SATORIEX,
    "transak": TRANSAK,
}

PUBLIC = "public"
"""Name of the account under which public data is kept."""


def feed_of(provider: str, account: str) -> Feed:
    """Return what follows an account; that named ``public`` may have a feed of its own."""
    feed = FEEDS[provider]
    return feed.public if account == PUBLIC and feed.public else feed
