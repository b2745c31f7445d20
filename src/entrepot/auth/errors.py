"""Why somebody may not do something."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["AccessDeniedError", "ActionDisabledError"]


class AccessDeniedError(EntrepotError):
    """The principal may not do this, and presenting other credentials would not help.

    The text is for the person at the other end; it says nothing about whether the repository exists (S19).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ActionDisabledError(EntrepotError):
    """A setting, or a state that the registry is in, forbids this to everybody, whatever they may otherwise do."""

    def __init__(self, reason: str, setting: str = "") -> None:
        super().__init__(f"{reason} (setting {setting})" if setting else reason)
        self.reason = reason
        self.setting = setting
