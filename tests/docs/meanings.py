"""What a person says about things the code only names; kept beside the pages, checked against the code."""

from __future__ import annotations

import functools
import tomllib
from typing import Final

from tests.docs.pages import ROOT

__all__ = ["MEANINGS_FILE", "MissingMeaningError", "load_meanings", "meanings_of"]

MEANINGS_FILE: Final = "docs/reference/meanings.toml"


class MissingMeaningError(Exception):
    """The code has names that nobody explained, or the other way round."""


@functools.cache
def load_meanings() -> dict[str, dict[str, str]]:
    """Return the explanations by kind and name."""
    return tomllib.loads((ROOT / MEANINGS_FILE).read_text(encoding="utf-8"))


def meanings_of(kind: str, names: set[str]) -> dict[str, str]:
    """Return the explanation of each of `names`.

    Raises:
        MissingMeaningError: a name has none, or an explanation has no name any more.
    """
    known = load_meanings().get(kind, {})
    if names != set(known):
        unexplained, obsolete = sorted(names - set(known)), sorted(set(known) - names)
        message = f"{MEANINGS_FILE} [{kind}]: without meaning {unexplained}, without code {obsolete}"
        raise MissingMeaningError(message)
    return known
