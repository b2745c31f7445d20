"""The flows that are killed at failpoints, by the name under which the crash server runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.machine.content import content_of, delete_content, mount_content, push_content

if TYPE_CHECKING:
    from tests.asgi.client import AsgiClient
    from tests.faults.pushing import AcknowledgementLog

__all__ = ["delete_index", "delete_two_layers", "mount_two_layers", "push_index", "push_two_layers"]


async def push_two_layers(client: AsgiClient, seed: int, repository: str, log: AcknowledgementLog) -> None:
    """Push an image with two layers."""
    await push_content(client, content_of("two layers", seed, repository), log)


async def push_index(client: AsgiClient, seed: int, repository: str, log: AcknowledgementLog) -> None:
    """Push an index of two images."""
    await push_content(client, content_of("index", seed, repository), log)


async def mount_two_layers(client: AsgiClient, seed: int, repository: str, log: AcknowledgementLog) -> None:
    """Mount the blobs of an image that was pushed into a second repository."""
    await mount_content(client, content_of("two layers", seed, repository), log)


async def delete_two_layers(client: AsgiClient, seed: int, repository: str, log: AcknowledgementLog) -> None:
    """Delete an image with two layers that was pushed."""
    await delete_content(client, content_of("two layers", seed, repository), log)


async def delete_index(client: AsgiClient, seed: int, repository: str, log: AcknowledgementLog) -> None:
    """Delete an index of two images that was pushed, its children and all blobs."""
    await delete_content(client, content_of("index", seed, repository), log)
