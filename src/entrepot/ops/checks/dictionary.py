"""Check of the file of words that no password may be: asked before a start and a reload, and by the doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.ops.checks.finding import Finding, failed, passed
from entrepot.settings import SettingsError

if TYPE_CHECKING:
    from entrepot.settings import LoadedSettings, Settings

__all__ = ["check_dictionary", "require_dictionary"]

_KEY = "passwords.dictionary_file"
_STEP_CHARACTERS = 65536


def require_dictionary(loaded: LoadedSettings) -> Settings:
    """Return the settings, whose dictionary can be read; nobody needs one without accounts. Blocks.

    A process that starts on its own does without the file, since that is no reason to be down: so who starts or
    reloads the registry is told here.

    Raises:
        SettingsError: the file can't be read.
    """
    settings = loaded.settings
    if settings.access.accounts and (problem := _problem_of(settings)):
        raise SettingsError((f"{_KEY} ({loaded.origins[_KEY]}): {problem}",))
    return settings


def check_dictionary(settings: Settings) -> Finding:
    """Check that the words can be read."""
    chosen = settings.passwords.dictionary_file
    if not chosen:
        return passed("dictionary", "passwords are compared with the built-in words")
    if not settings.access.accounts:
        return passed("dictionary", "there are no accounts, so no passwords either")
    if problem := _problem_of(settings):
        remedy = (
            "Put the file back, as text in UTF-8 that the registry's user may read, and send SIGHUP to the registry. "
            "Until then it does not start, and a process that it replaces knows the built-in words only."
        )
        return failed("dictionary", f"{_KEY}: {problem}", remedy)
    return passed("dictionary", f"{chosen} can be read")


def _problem_of(settings: Settings) -> str:
    """Return what keeps the file from being read, nothing where it can be; it is read in steps, as it may be large."""
    chosen = settings.passwords.dictionary_file
    if not chosen:
        return ""
    path = Path(chosen)
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            return f"{chosen} is no file"
        with path.open(encoding="utf-8") as words:
            while words.read(_STEP_CHARACTERS):
                pass
    except OSError as error:
        return f"file {chosen} can't be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"file {chosen} can't be read: it is no text in UTF-8"
    return ""
