"""How a client command ends when it can't do its work: lines for a person and an exit code for a script."""

from __future__ import annotations

from typing import Final

__all__ = [
    "EXIT_CODES",
    "EXIT_CONFLICT",
    "EXIT_DONE",
    "EXIT_NOT_FOUND",
    "EXIT_NOT_LOGGED_IN",
    "EXIT_REFUSED",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
    "ClientError",
]

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_LOGGED_IN: Final = 3
EXIT_NOT_FOUND: Final = 4
EXIT_CONFLICT: Final = 5
EXIT_UNREACHABLE: Final = 6

EXIT_CODES: Final = {
    EXIT_DONE: "Done.",
    EXIT_REFUSED: "The registry refused or failed, or a question was answered with no.",
    EXIT_USAGE: "The command line can't be understood, or something it needs is missing.",
    EXIT_NOT_LOGGED_IN: "Not logged in, or wrong, expired or locked-out credentials.",
    EXIT_NOT_FOUND: "What was named does not exist.",
    EXIT_CONFLICT: "It exists already, or something else stands in the way.",
    EXIT_UNREACHABLE: "The registry can't be reached, or can't answer now; trying again may help.",
}
"""What every command that speaks to a registry ends with."""


class ClientError(Exception):
    """The command stops here; `lines` go to standard error.

    Attributes:
        exit_code: what the process ends with.
        lines: what happened, then what to do.
    """

    def __init__(self, exit_code: int, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.exit_code = exit_code
        self.lines = lines
