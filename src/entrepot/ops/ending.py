"""How a command ends: what its exit codes mean, and which one it has when it was stopped or could not be heard."""

from __future__ import annotations

import contextlib
import errno
import sys
from typing import TYPE_CHECKING, Final

from entrepot.client.streams import has_output, silence_output
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXIT_CODES", "exit_code_of", "exit_codes_of"]

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 refused or failed, or a check failed, 2 settings or usage can't be used, 130 interrupted, "
    "143 the same by SIGTERM; serve, verify and audit verify have others, see their help. Commands over the API: "
    "3 not logged in, 4 not found, 5 conflict, 6 unreachable."
)
_OWN_EXIT_CODES: Final[dict[tuple[str, ...], str]] = {
    (
        "serve",
    ): "Exit codes: 0 stopped on request, 1 unforeseen, 2 settings or certificate, 3 data directory in use, "
    "4 address in use, 5 data directory not writable, 6 the database has another schema, 7 a rebuild of it is not "
    "finished.",
    (
        "verify",
    ): "Exit codes: 0 sound, 1 damage found or left, 2 settings or usage can't be used, 3 not completed, "
    "4 interrupted; --resume goes on.",
    ("audit", "verify"): "Exit codes: 0 sound, 1 tampered with, 2 wrong usage, 3 the log can't be read.",
}
_NOT_COMPLETED: Final = 3
"""Of the commands for which 1 would mean that something is damaged."""
_JUDGING: Final = (("verify",), ("audit", "verify"))
_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def exit_codes_of(words: tuple[str, ...]) -> str:
    """Return what the help of a command says of its exit codes."""
    return _OWN_EXIT_CODES.get(words, EXIT_CODES)


def exit_code_of(work: Callable[[], int | None], arguments: tuple[str, ...]) -> int:
    """Run a command and return its exit code, once everything that it printed is written.

    Raises:
        BrokenPipeError: nobody reads the output any more.
    """
    try:
        code = work() or EXIT_OK
        if has_output():
            sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = _reason(error)
        if not reason:
            raise
        with contextlib.suppress(OSError):
            print(f"entrepot: {reason}", file=sys.stderr)
        is_judging = any(arguments[: len(words)] == words for words in _JUDGING)
        return _NOT_COMPLETED if is_judging else EXIT_CHECK_FAILED
    return code


def _reason(error: OSError) -> str:
    """Return a sentence for what no command foresees and a person can mend, empty for a fault to be seen."""
    if isinstance(error, PermissionError) and error.filename is not None:
        return f"this user may not use {error.filename}. Run this as the user that it belongs to"
    if (
        isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError))
        and error.filename is not None
    ):
        return (
            f"{error.filename} is not of the kind that it should be: {error.strerror}. Move it out of the way"
        )
    if error.filename is not None:
        return ""
    if has_output() and _is_output_lost():
        return (
            f"standard output can't be written: {error.strerror}. The result was not shown; "
            "what was to be changed may be changed"
        )
    if (
        error.errno in _UNWRITABLE
    ):  # a file that a command keeps no eye on, or standard output without a buffer
        return (
            f"something could not be written, a file or standard output: {error.strerror}. The command broke off; "
            "see what it left before you run it again"
        )
    return ""


def _is_output_lost() -> bool:
    """Whether what was printed can't be written, which is given up then."""
    try:
        sys.stdout.flush()  # what a buffer holds stays there until it is written
    except OSError:
        silence_output()
        return True
    return False
