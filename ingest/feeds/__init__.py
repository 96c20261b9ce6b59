"""Every feed we follow. To add a provider, add its line."""

from ingest.feed import Feed
from ingest.feeds.pepay.socket import FEED as PEPAY
from ingest.feeds.satoriex.socket import FEED as SATORIEX
from ingest.feeds.transak.socket import FEED as TRANSAK

FEEDS: dict[str, Feed] = {"pepay": PEPAY, "satoriex": SATORIEX, "transak": TRANSAK}
