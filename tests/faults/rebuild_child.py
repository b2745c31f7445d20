"""Rebuilds a database in a process meant to die: `python -m tests.faults.rebuild_child <data> <failpoints>`.

Its units are small, so that a registry of few facts has many of them.
"""

from __future__ import annotations

import sys

from entrepot.kernel.failpoints import arm_failpoints
from entrepot.ops.application import run_command_line
from entrepot.rebuild import replay


def main() -> int:
    """Run the command and return its exit code."""
    data, failpoints, *options = sys.argv[1:]
    replay._UNIT_FACTS = replay._READ_AT_ONCE = 4  # type: ignore[misc]  # constants of the module
    arm_failpoints(failpoints)
    return run_command_line(("rebuild", "--data", data, "-o", "json", *options))


if __name__ == "__main__":
    sys.exit(main())
