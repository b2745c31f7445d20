"""Starts the command line: ``entrepot`` and ``python -m entrepot``."""

from __future__ import annotations

import os
import select
import sys
from typing import Final

from entrepot.ops.application import run_command_line

__all__ = ["main"]


_EXIT_UNREAD: Final = 141
"""What a shell makes of a program that SIGPIPE ended."""


def main() -> None:
    """Run the command in the arguments of this process and exit with its code.

    Where the reader of the output has gone, as ``head`` does when it has enough, the command ends without a word.
    """
    try:
        code = run_command_line(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout.fileno()):
            raise  # it was another pipe or connection, which is a fault to be seen
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is buffered is flushed at the end
        code = _EXIT_UNREAD
    sys.exit(code)


def _is_unread(descriptor: int) -> bool:
    """Whether the other end of a pipe is closed."""
    waiter = select.poll()
    waiter.register(descriptor, select.POLLERR)
    return any(happened & select.POLLERR for _, happened in waiter.poll(0))


if __name__ == "__main__":
    main()
