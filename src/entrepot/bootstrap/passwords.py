"""What passwords must be like, from the settings; for the server and for commands on its host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy, load_words

if TYPE_CHECKING:
    from entrepot.settings.identity import PasswordSettings

__all__ = ["load_password_policy"]


def load_password_policy(chosen: PasswordSettings) -> PasswordPolicy:
    """Return the policy that was chosen. Reads the dictionary, so it can block.

    Raises:
        OSError, UnicodeDecodeError: `dictionary_file` can't be read.
    """
    limits = PasswordLimits(
        chosen.min_length, chosen.classes, chosen.history, chosen.max_age_days, chosen.change_first
    )
    words = load_words(Path(chosen.dictionary_file)) if chosen.dictionary_file else frozenset[str]()
    return PasswordPolicy(limits, words)
