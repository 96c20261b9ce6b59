"""Errors about us. What a provider does wrong is a ``FeedError``, in ``feed.py``."""


class OperatorError(Exception):
    """Something of ours is wrong: one line that says what, where and what to do."""

    exit_code = 1


class SettingsError(OperatorError):
    """The settings, or a secret that they name."""

    exit_code = 2


class AllRefused(OperatorError):
    """No feed is left to follow."""

    # A code of its own, and not a process that idles: a supervisor shows a program
    # that ended, and with one feed per process this is the alert. It is not 1, so
    # that a policy may tell "change something" from "start me again".
    exit_code = 3
