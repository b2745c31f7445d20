"""Standard input, output and error as the shell left them: full, broken, or closed, as `>&-` closes them.

It lies with the client, which imports nothing else of the product; the commands on the host use it, too.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Final, cast

__all__ = ["has_output", "open_closed_streams", "silence_output"]

_MODES: Final = ("rb", "wb", "wb")
_NAMES: Final = ("stdin", "stdout", "stderr")


class _Nowhere(io.TextIOWrapper):
    """A stream in place of one that was closed: nothing comes from it, and whatever is written to it is gone."""


def open_closed_streams() -> None:
    """Open those of the descriptors 0 to 2 that are closed on /dev/null, before anything else is opened.

    Else the next file gets the number, which may be the database, and lines of a log or of a library are written into
    it. Children inherit them: they are as much in danger.
    """
    for descriptor, name in enumerate(_NAMES):
        if not _is_closed(descriptor):
            continue
        opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number; those below are open by now
        os.set_inheritable(opened, True)  # noqa: FBT003  # takes no keyword
        raw = open(opened, _MODES[opened], closefd=False)  # noqa: SIM115  # for as long as the process lives
        setattr(sys, name, _Nowhere(raw, encoding="utf-8", errors="backslashreplace"))


def has_output() -> bool:
    """Whether there is a standard output, full or not: a shell can close it."""
    output = cast("object", sys.stdout)
    return output is not None and not isinstance(output, _Nowhere)


def silence_output() -> None:
    """Let what could not be written go nowhere: it is tried again when the process ends."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a plain name
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
