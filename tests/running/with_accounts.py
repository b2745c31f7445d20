"""The product with accounts on: its first administrator is known to the test, and everybody else is made by the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.running.control_client import Account, ControlClient
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ADMINISTRATOR", "PASSWORD", "EntrepotWithAccounts"]

ADMINISTRATOR: Final = Account("admin", "Lantern+Orchard+58")
"""The first administrator. Told by a setting, the password need not be changed first."""

PASSWORD: Final = "Copper-Meadow-29"  # of people who live as long as a test
"""A password that the policy accepts of anybody."""


class EntrepotWithAccounts(RunningEntrepot):
    """A registry that knows people. Used as :class:`RunningEntrepot` is."""

    def __init__(
        self,
        directory: Path,
        *,
        settings: dict[str, dict[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        data_directory: Path | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(
            directory,
            settings=settings,
            environment={"ENTREPOT_ADMIN_PASSWORD": ADMINISTRATOR.secret, **(environment or {})},
            data_directory=data_directory,
            port=port,
        )
        self.settings["access"]["accounts"] = True

    def control(self, account: Account | None = ADMINISTRATOR) -> ControlClient:
        """Return a client of the control API, as the first administrator unless told otherwise."""
        return ControlClient(self.host, account)
