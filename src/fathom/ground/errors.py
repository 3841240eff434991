"""The exceptions a user is meant to see."""


class FathomError(Exception):
    """A mistake its reader can mend: what was wrong, where, what was allowed, what to do.

    Commands and stages print the message without a traceback and exit with code 2.
    """


class SlideError(FathomError):
    """A slide, or another image of the user's, that cannot be read or scored: try the next one."""


class ModelError(FathomError):
    """A model file that cannot be used, for any slide."""
