"""Whose fault it is: the user's, the harness's, or the tested system's (that one is a Violation, not an exception).

Every message says what happened, where, and what to do next.
"""

from __future__ import annotations


class UserError(Exception):
    """The command was used wrongly, or a file is not what it should be. Exit code 2."""


class HarnessFault(Exception):
    """The harness broke: its verdict would mean nothing. Exit code 70."""
