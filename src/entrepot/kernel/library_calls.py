"""Calls of the C library that Python does not offer, with the errors that its own calls have."""

from __future__ import annotations

import ctypes
import os
from typing import Final

__all__ = ["call_library"]

_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)


def call_library(name: str, *arguments: object, about: str | None = None) -> None:
    """Call a function that returns 0, or another number and sets errno.

    Args:
        name: the function's.
        arguments: integers are passed as a C `int`; longer ones and pointers are wrapped in their type of `ctypes`.
        about: what the error is to name, in place of the function.

    Raises:
        OSError: it failed.
    """
    if getattr(_LIBRARY, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about or name)
