"""Plain WebSocket: the credential goes with the upgrade, then every message is data.

https://www.rfc-editor.org/rfc/rfc6455
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ingest.dialects.endings import Meaning, of_close, of_refusal
from ingest.feed import Beat, Close, Effect, FeedError, Frame, Keep, Live, Refusal, Send


def _keep(frame: Frame) -> Iterable[Effect]:
    return (Keep(frame),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Live as soon as it is open, and has said what it wants, which nobody acknowledges.

    Where a provider has control frames, it says which.
    """

    beat: Beat
    wants: tuple[str, ...] = ()
    """Messages that subscribe, in order."""
    reads: Callable[[Frame], Iterable[Effect]] = _keep
    closes: Mapping[int, Meaning] = field(default_factory=dict)
    refusals: Mapping[int, Meaning] = field(default_factory=dict)

    def opened(self) -> Iterable[Effect]:
        return (self.beat, *map(Send, self.wants), Live())

    def received(self, frame: Frame) -> Iterable[Effect]:
        return self.reads(frame)

    def overdue(self) -> Iterable[Effect]:
        return ()  # Nothing is awaited.

    def closed(self, close: Close) -> FeedError:
        return of_close(close, self.closes)

    def refused(self, refusal: Refusal) -> FeedError:
        return of_refusal(refusal, self.refusals)
