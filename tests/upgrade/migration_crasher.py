"""Runs migrations that are meant to be killed: `python -m tests.upgrade.migration_crasher`, driven over stdin.

Each line is `<url> <backup directory> <failpoints>`; the answer is the number of the signal that ended it, 0 when
nothing did, or the text of its error. Each migration runs in a fork of this process, which has everything imported.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import traceback
from pathlib import Path

from entrepot.kernel.failpoints import arm_failpoints
from entrepot.metadata.sql.migrate import migrate

__all__ = ["main"]


def main() -> None:
    """Carry out orders until standard input ends."""
    importlib.import_module("entrepot.metadata.sql.postgres_migration")  # once, rather than in every fork
    for line in sys.stdin:
        url, directory, failpoints = line.split()
        process = os.fork()
        if process == 0:
            _migrate_and_exit(url, Path(directory), failpoints)
        status = os.waitpid(process, 0)[1]
        answer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _migrate_and_exit(url: str, directory: Path, failpoints: str) -> None:
    code = 1
    try:
        arm_failpoints(failpoints)
        asyncio.run(migrate(url, directory, lambda _: None))
        code = 0
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
