"""What logins of client programs leave behind: files in which the programs look for who they act as."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running.control_client import Account

__all__ = ["Logins"]

_FILES: Final = ("auth.json", "config.json")
"""Of skopeo, podman and buildah, and of Docker, oras and cosign; in one form."""


@dataclass(frozen=True, slots=True)
class Logins:
    """One directory with both files."""

    directory: Path

    @classmethod
    def none_yet(cls, directory: Path) -> Self:
        """Make the files, with nothing in them: buildah refuses to start when the one it is told of is absent."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (directory / name).write_text("{}")
        return cls(directory)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs find the files."""
        return {
            "REGISTRY_AUTH_FILE": str(self.directory / "auth.json"),
            "DOCKER_CONFIG": str(self.directory),
        }

    def remember(self, host: str, account: Account) -> None:
        """Write down who acts on a registry, as the programs themselves do when somebody logs in."""
        for name in _FILES:
            file = self.directory / name
            document: dict[str, Any] = json.loads(file.read_text())
            entry = {"auth": account.basic.removeprefix("Basic ")}
            document.setdefault("auths", {})[host] = entry
            file.write_text(json.dumps(document))
