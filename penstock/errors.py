"""What the operator's command says instead of a traceback."""


class OperatorError(Exception):
    """One line: what is wrong, where, and what to do about it."""
