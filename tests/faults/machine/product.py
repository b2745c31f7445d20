"""The product under a fault: `entrepot serve` with its directory on a volume of the test's choice."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from entrepot.processes.assignment import Role
from entrepot.settings import Settings, load_settings
from tests.faults.machine.content import content_of, push_content
from tests.faults.machine.remote import BROKEN, remote_client
from tests.faults.pushing import AcknowledgementLog
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import is_alive, wait_for
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.asgi.client import AsgiClient, AsgiReply
    from tests.faults.machine.content import Content

__all__ = ["Product", "running_product"]


class Product:
    """A running registry, a client with a connection per request, and numbers for contents nobody pushed before."""

    def __init__(self, registry: RunningEntrepot, directory: Path) -> None:
        self.registry = registry
        self.directory = directory
        self.client: AsgiClient = remote_client(registry.port)
        self._number = 0

    @property
    def http_pid(self) -> int:
        """The process that serves clients."""
        return self.registry.pid(Role.HTTP)

    @property
    def settings(self) -> Settings:
        """The settings it runs with, for looking into its stores."""
        flags: dict[str, str | bool] = {
            f"{section}.{key}": str(value)
            for section, values in self.registry.settings.items()
            for key, value in values.items()
        }
        return load_settings(environment={}, user_id=os.getuid(), flags=flags).settings

    def new_content(self, shape: str = "one layer") -> Content:
        """Return content of its own repository."""
        self._number += 1
        return content_of(shape, self._number, f"machine/content-{self._number}")

    def record(self) -> Path:
        """Return a file for acknowledgements, missing yet."""
        path = self.directory / "acknowledged"
        path.unlink(missing_ok=True)
        return path

    async def push(self, content: Content) -> Content:
        """Push content that must be accepted."""
        await push_content(self.client, content, AcknowledgementLog.open(self.record()))
        return content

    async def get(self, content: Content, path: str) -> AsgiReply:
        """GET a path below the content's repository."""
        return await self.client.request("GET", f"/v2/{content.repository}/{path}")

    def wait_until_answering(self) -> None:
        """Wait for an answer on the public listener: earlier than readiness, which the ops listener tells."""

        def look() -> bool:
            assert self.registry.parent.poll() is None, self.registry.log_tail()
            try:
                return self.registry.get("/v2/", 10)[0] == 200
            except BROKEN:
                return False

        wait_for(look, PATIENCE_SECONDS, self.registry.log_tail)

    def kill(self) -> None:
        """Kill the parent, with which its children die, and wait until the data directory is free."""
        processes = self.registry.processes()
        self.registry.end()
        wait_for(
            lambda: not any(is_alive(pid) for pid in processes), PATIENCE_SECONDS, self.registry.log_tail
        )

    def restart(self, *, ready: bool = False) -> None:
        """Kill it and start it on the same directory."""
        self.kill()
        self.registry.start()
        self.wait_until_answering()
        if ready:
            self.registry.wait_until_ready()

    def metric(self, name: str, **labels: str) -> float:
        """Return a value of `/metrics`, 0 when there is none yet."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        status, body = self.registry.get_ops("/metrics")
        assert status == 200
        for line in body.decode().splitlines():
            if line.startswith((f"{name}{{", f"{name} ")) and all(label in line for label in wanted):
                return float(line.rpartition(" ")[2])
        return 0.0

    def is_write_ready(self) -> bool:
        """What `/readyz/write` says."""
        return self.registry.get_ops("/readyz/write")[0] == 200

    def faults_logged(self, from_byte: int) -> list[dict[str, Any]]:
        """Lines of level error and above since the log had `from_byte` bytes."""
        lines = self.registry.log_lines(from_byte)
        return [line for line in lines if line["log.level"] in {"error", "critical"}]


@contextlib.contextmanager
def running_product(
    directory: Path, data_directory: Path | None = None, *, ready: bool = True, **sections: dict[str, Any]
) -> Iterator[Product]:
    """Start the product and end it with SIGKILL, as faults do.

    Args:
        directory: for settings file and log, and for the data where `data_directory` is not given.
        ready: wait until all three children are ready; otherwise until clients are answered.
        sections: settings by section.
    """
    settings: dict[str, dict[str, Any]] = {"storage": {"min_free_bytes": 0}}
    for section, values in sections.items():
        settings.setdefault(section, {}).update(values)
    registry = RunningEntrepot(directory, settings=settings, data_directory=data_directory)
    product = Product(registry, directory)
    registry.start()
    try:
        product.wait_until_answering()
        if ready:
            registry.wait_until_ready()
        yield product
    finally:
        product.kill()
