"""Every feed that we follow and every webhook that we take. To add a provider, add its lines."""

from ingest.delivery import Webhook
from ingest.feed import Feed
from ingest.feeds.assetpay.socket import FEED as ASSETPAY
from ingest.feeds.assetpay.webhook import WEBHOOK as ASSETPAY_WEBHOOK
from ingest.feeds.paymium.socket import FEED as PAYMIUM
from ingest.feeds.paymium.webhook import WEBHOOK as PAYMIUM_WEBHOOK
from ingest.feeds.pepay.socket import FEED as PEPAY
from ingest.feeds.pepay.webhook import WEBHOOK as PEPAY_WEBHOOK
from ingest.feeds.satoriex.socket import FEED as SATORIEX
from ingest.feeds.transak.socket import FEED as TRANSAK
from ingest.feeds.transak.webhook import WEBHOOK as TRANSAK_WEBHOOK

FEEDS: dict[str, Feed] = {
    "assetpay": ASSETPAY,
    "paymium": PAYMIUM,
    "pepay": PEPAY,
    "satoriex": SATORIEX,
    "transak": TRANSAK,
}

WEBHOOKS: dict[str, Webhook] = {
    "assetpay": ASSETPAY_WEBHOOK,
    "paymium": PAYMIUM_WEBHOOK,
    "pepay": PEPAY_WEBHOOK,
    "transak": TRANSAK_WEBHOOK,
}

PUBLIC = "public"
"""Name of the account under which public data is kept."""


def feed_of(provider: str, account: str) -> Feed:
    """Return what follows an account; that named ``public`` may have a feed of its own."""
    feed = FEEDS[provider]
    return feed.public if account == PUBLIC and feed.public else feed
