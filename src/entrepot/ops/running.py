"""How a command that works on an event loop runs, and how it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from entrepot.kernel.errors import EntrepotError
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, CommandError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

__all__ = ["run_to_its_end"]

T = TypeVar("T")


def run_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work on a loop of its own, and turn what it fails with into the command's end.

    Raises:
        CommandError: with the error's sentence, or that somebody interrupted it.
    """
    try:
        return asyncio.run(work)
    except CommandError:
        raise
    except EntrepotError as error:
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {error}") from error
    except KeyboardInterrupt as error:
        work.close()  # it may not have begun
        raise CommandError(EXIT_INTERRUPTED, "entrepot: interrupted; the same command goes on") from error
