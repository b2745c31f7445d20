"""Why a verification stops."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["LifecycleError", "MassDamageError", "ScrubBusyError", "ScrubLostError"]


class LifecycleError(EntrepotError):
    """The root of everything that verification raises."""


class MassDamageError(LifecycleError):
    """So much is damaged that the store itself, not its content, is the likely fault: nothing is changed."""

    def __init__(self, damaged: int, examined: int, detail: str = "") -> None:
        seen = detail or f"{damaged} of the first {examined} objects are missing or damaged"
        super().__init__(
            f"{seen}; is the right volume or bucket there? Nothing more is set aside. "
            "If this is how things are, run it again with --force"
        )
        self.damaged = damaged
        self.examined = examined


class ScrubBusyError(LifecycleError):
    """Another verification of this kind is under way."""

    def __init__(self) -> None:
        super().__init__("another verification is under way on this registry; wait for its end, or stop it")


class ScrubLostError(LifecycleError):
    """The lease was lost, because the database was away for long; somebody else may have begun."""

    def __init__(self) -> None:
        super().__init__("the verification lost its lease, since the database was away for long; resume it")
