"""Asks several things at the same time, and answers as if they had been asked one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["first_in_order"]

T = TypeVar("T")


async def first_in_order(*questions: Coroutine[Any, Any, T]) -> T:
    """Return the first answer that says something (is true), or the last one; all questions have come to their end.

    An error counts as an answer in its place: it is raised where no question before it said anything.
    """
    outcomes = await asyncio.gather(*questions, return_exceptions=True)
    for outcome in outcomes[:-1]:
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome:
            return outcome
    last = outcomes[-1]
    if isinstance(last, BaseException):
        raise last
    return last
