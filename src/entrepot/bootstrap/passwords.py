"""What passwords must be like, from the settings; for the server and for commands on its host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy, load_words

if TYPE_CHECKING:
    from entrepot.settings.identity import PasswordSettings

__all__ = ["load_password_policy", "load_serving_policy", "policy_without_dictionary"]

_log: Any = structlog.get_logger()


def load_password_policy(chosen: PasswordSettings) -> PasswordPolicy:
    """Return the policy that was chosen. Reads the dictionary, so it can block.

    Raises:
        OSError, UnicodeDecodeError: `dictionary_file` can't be read.
    """
    words = load_words(Path(chosen.dictionary_file)) if chosen.dictionary_file else frozenset[str]()
    return PasswordPolicy(_limits(chosen), words)


def load_serving_policy(chosen: PasswordSettings) -> PasswordPolicy:
    """Return the policy that was chosen, without the words of a dictionary that can't be read. Blocks likewise.

    For processes that serve: the file was there when the registry was started, and who takes the place of a process
    that ended must not be kept from serving pulls by a list of words.
    """
    try:
        return load_password_policy(chosen)
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("dictionary.unreadable", path=chosen.dictionary_file, reason=str(error))
        return policy_without_dictionary(chosen)


def policy_without_dictionary(chosen: PasswordSettings) -> PasswordPolicy:
    """Return the policy that was chosen, with the built-in words only."""
    return PasswordPolicy(_limits(chosen))


def _limits(chosen: PasswordSettings) -> PasswordLimits:
    return PasswordLimits(
        chosen.min_length, chosen.classes, chosen.history, chosen.max_age_days, chosen.change_first
    )
