"""How a command ends when it can't do its work: lines for a person and an exit code for a script."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "EXIT_CHECK_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_USAGE",
    "CommandError",
    "RegistryUnusableError",
]

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
"""What a shell makes of a program that SIGINT ended."""


class CommandError(EntrepotError):
    """The command stops here; ``lines`` go to standard error."""

    def __init__(self, exit_code: int, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.exit_code = exit_code
        self.lines = lines


class RegistryUnusableError(EntrepotError):
    """There is no registry where the settings say, or this user may not open it; each command has its code for that."""
