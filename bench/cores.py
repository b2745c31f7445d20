"""Which cores the servers and the client get, so that neither eats the other's time."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Cores", "parse_cores", "split_cores"]


@dataclass(frozen=True, slots=True)
class Cores:
    """Core numbers of the servers (each gets all of them in its turn) and of the client."""

    servers: tuple[int, ...]
    client: tuple[int, ...]

    def pin_server(self, *command: str) -> list[str]:
        """Return the command as run on the servers' cores."""
        return ["taskset", "--cpu-list", _listed(self.servers), *command]

    def pin_client(self, *command: str) -> list[str]:
        """Return the command as run on the client's cores."""
        return ["taskset", "--cpu-list", _listed(self.client), *command]

    def describe(self) -> str:
        """Return a phrase for the report."""
        return f"servers on core {_listed(self.servers)}, client on core {_listed(self.client)}"


def split_cores(available: tuple[int, ...]) -> Cores:
    """Give the upper half of the cores to the client; with a single core both share it."""
    if len(available) == 1:
        return Cores(available, available)
    middle = len(available) // 2
    return Cores(available[:middle], available[middle:])


def parse_cores(servers: str | None, client: str | None) -> Cores:
    """Read what the command line chose, as `0,1`; what it left open is split."""
    split = split_cores(tuple(sorted(os.sched_getaffinity(0))))
    return Cores(_read(servers) if servers else split.servers, _read(client) if client else split.client)


def _read(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _listed(cores: tuple[int, ...]) -> str:
    return ",".join(str(core) for core in cores)
