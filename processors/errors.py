"""Two families: about their frame (rejected, the stream goes on) and about us (stop)."""

from schemas.records import Reason


class FrameError(Exception):
    """This part cannot be told. ``str()`` is *where: expected X, found Y*.

    Never carries a value from the frame that could be a secret or a person: what
    was found is named by its type or length.
    """

    reason: Reason


class Malformed(FrameError):
    """Not the shape that the provider's page promises."""

    reason = Reason.MALFORMED


class UnknownKind(FrameError):
    """A kind of event that has no route."""

    reason = Reason.UNKNOWN_KIND


class Unverified(FrameError):
    """Signed by a key that we do not hold, or not signed at all."""

    reason = Reason.UNVERIFIED


class InvalidValue(FrameError):
    """The right shape, and a value that cannot be true."""

    reason = Reason.INVALID_VALUE


class Conflict(FrameError):
    """The identity of a fact told before, with other stakes."""

    reason = Reason.CONFLICT


class BeyondHorizon(FrameError):
    """Older than what ``state`` remembers: nobody can tell whether it was told."""

    reason = Reason.BEYOND_HORIZON


class TooLarge(FrameError):
    """An event that the broker would refuse."""

    reason = Reason.TOO_LARGE


class Crashed(FrameError):
    """It killed its task, twice while it was alone."""

    reason = Reason.CRASHED


class OperatorError(Exception):
    """Something of ours is wrong: one line that says what, where and what to do."""
