"""The one exception a user is meant to see."""


class FathomError(Exception):
    """A mistake its reader can mend: what was wrong, where, what was allowed, what to do.

    Commands and stages print the message without a traceback and exit with code 2.
    """
