"""The one error of this package: everything wrong with the settings, said at once instead of one by one."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["SettingsError"]


class SettingsError(EntrepotError):
    """The settings can't be used; each of ``problems`` is a sentence naming key and source."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__(f"{len(problems)} {noun} in the settings: " + "; ".join(problems))
