"""Starts the command line: ``entrepot`` and ``python -m entrepot``."""

from __future__ import annotations

import sys

from entrepot.ops.application import run_command_line

__all__ = ["main"]


def main() -> None:
    """Run the command in the arguments of this process and exit with its code."""
    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
