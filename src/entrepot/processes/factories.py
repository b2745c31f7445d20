"""Where the children find what they run: dotted paths, resolved in the child so that the parent imports none of it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from entrepot.kernel.asgi import Application
    from entrepot.settings import Settings

__all__ = [
    "BackgroundWorker",
    "Factories",
    "HealthProbes",
    "ProbeResult",
    "load_application_factory",
    "load_background_factory",
    "load_probes_factory",
]


class ProbeResult(Protocol):
    """Whether one thing works, and the reason in words."""

    @property
    def ok(self) -> bool:
        """Whether it works."""
        ...

    @property
    def detail(self) -> str:
        """What was found; never a secret, since the ops listener shows it."""
        ...


class HealthProbes(Protocol):
    """Looks whether this node can do its work. One call of each kind at a time; calls may be cancelled."""

    async def read_ready(self) -> ProbeResult:
        """Whether pulls would work."""
        ...

    async def tokens_ready(self) -> ProbeResult:
        """Whether tokens can be issued, which takes the master key."""
        ...

    async def write_ready(self) -> ProbeResult:
        """Whether pushes would work."""
        ...

    async def aclose(self) -> None:
        """Release connections and files."""
        ...


class BackgroundWorker(Protocol):
    """Does what no request waits for."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then end soon; work not ended is taken up by another process later."""
        ...


@dataclass(frozen=True, slots=True)
class Factories:
    """Dotted paths (`module:name`) of functions that take the settings.

    The HTTP processes run the first until one of them is ready, which makes what a new registry lacks; from then on the
    successor, which takes what is missing for lost.
    """

    http_application: str = "entrepot.bootstrap:build_http_application"
    http_successor: str = "entrepot.bootstrap:build_http_successor"
    background_worker: str = "entrepot.bootstrap:build_background_worker"
    health_probes: str = "entrepot.bootstrap:build_health_probes"


def load_application_factory(path: str) -> Callable[[Settings], Application]:
    """Import the function that builds the ASGI application."""
    return cast("Callable[[Settings], Application]", _load(path))


def load_background_factory(path: str) -> Callable[[Settings], BackgroundWorker]:
    """Import the function that builds the background worker."""
    return cast("Callable[[Settings], BackgroundWorker]", _load(path))


def load_probes_factory(path: str) -> Callable[[Settings], HealthProbes]:
    """Import the function that builds the health probes."""
    return cast("Callable[[Settings], HealthProbes]", _load(path))


def _load(path: str) -> object:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
