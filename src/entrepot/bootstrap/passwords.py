"""What passwords must be like, from the settings; for the server and for commands on its host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy, load_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.settings.identity import PasswordSettings

__all__ = ["load_password_policy", "load_serving_policy"]

_log: Any = structlog.get_logger()


def _log_unreadable(chosen: PasswordSettings, error: Exception) -> None:
    _log.warning("dictionary.unreadable", path=chosen.dictionary_file, reason=str(error))


def load_password_policy(chosen: PasswordSettings) -> PasswordPolicy:
    """Return the policy that was chosen. Reads the dictionary, so it can block.

    Raises:
        OSError, UnicodeDecodeError: `dictionary_file` can't be read.
    """
    words = load_words(Path(chosen.dictionary_file)) if chosen.dictionary_file else frozenset[str]()
    return PasswordPolicy(_limits(chosen), words)


def load_serving_policy(
    chosen: PasswordSettings, tell: Callable[[PasswordSettings, Exception], None] = _log_unreadable
) -> PasswordPolicy:
    """Return the policy that was chosen, without the words of a dictionary that can't be read. Blocks likewise.

    For who must not be kept from its work by a list of words: a process that takes the place of one that ended, as the
    file was there when the registry was started, and an operator who has to break the glass.

    Args:
        chosen: the settings.
        tell: is told why the dictionary can't be read; as a rule the log.
    """
    try:
        return load_password_policy(chosen)
    except (OSError, UnicodeDecodeError) as error:
        tell(chosen, error)
        return PasswordPolicy(_limits(chosen))


def _limits(chosen: PasswordSettings) -> PasswordLimits:
    return PasswordLimits(
        chosen.min_length, chosen.classes, chosen.history, chosen.max_age_days, chosen.change_first
    )
