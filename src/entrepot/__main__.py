"""Starts the command line: ``entrepot`` and ``python -m entrepot``."""

from __future__ import annotations

import select
import sys
from typing import Final

from entrepot.client.stopping import die_of, stop_as_interrupted
from entrepot.client.streams import open_closed_streams, silence_output

__all__ = ["main"]


_EXIT_UNREAD: Final = 141
"""What a shell makes of a program that SIGPIPE ended."""


_EXIT_INTERRUPTED: Final = 130
"""As of one that SIGINT ended."""


_OF_SIGNALS: Final = 128
"""The exit codes of programs that a signal ended begin behind it."""


def main() -> None:
    """Run the command in the arguments of this process and exit with its code.

    Where the reader of the output has gone, as ``head`` does when it has enough, the command ends without a word.
    So it does at Ctrl-C, even before it has begun. SIGTERM and SIGHUP end it the same way, after it has cleared up.
    """
    open_closed_streams()
    came: list[int] = []
    try:
        came = stop_as_interrupted()
        code = _run()
    except KeyboardInterrupt:
        code = _EXIT_INTERRUPTED
    if came and code == _EXIT_INTERRUPTED:
        die_of(came[0])
        code = _OF_SIGNALS + came[0]
    sys.exit(code)


def _run() -> int:
    # Half of the time of a short command goes by with these imports, which Ctrl-C may meet, too.
    from entrepot.ops.application import run_command_line  # noqa: PLC0415  # see above

    try:
        return run_command_line(sys.argv[1:])
    except BrokenPipeError:
        if not _is_unread(sys.stdout.fileno()):
            raise  # it was another pipe or connection, which is a fault to be seen
        silence_output()
        return _EXIT_UNREAD


def _is_unread(descriptor: int) -> bool:
    """Whether the other end of a pipe is closed."""
    waiter = select.poll()
    waiter.register(descriptor, select.POLLERR)
    return any(happened & select.POLLERR for _, happened in waiter.poll(0))


if __name__ == "__main__":
    main()
