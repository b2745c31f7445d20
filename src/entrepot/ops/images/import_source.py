"""Where ``entrepot import`` takes images from: the options for that, and opening what they name."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # the command line reads the annotations of ImportSource
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.transfer.distribution_tree import DistributionTree
from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.layout_collection import open_docker_archive, open_layouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.transfer.source import ImageSource

__all__ = ["ImportSource", "opened_source"]


@dataclass(frozen=True, slots=True)
class ImportSource:
    """Where images come from: exactly one of the first four, and how to get at it."""

    from_: Annotated[
        str | None, Parameter(name="--from", help="A running registry, as https://registry.example.com.")
    ] = None
    from_distribution: Annotated[
        Path | None,
        Parameter(
            name="--from-distribution",
            help="The storage directory of Distribution (docker-registry, registry:2), running or stopped.",
        ),
    ] = None
    from_oci_layout: Annotated[
        Path | None,
        Parameter(
            name="--from-oci-layout",
            help="An OCI image layout, a tar archive of one, or a directory with one per repository.",
        ),
    ] = None
    from_docker_archive: Annotated[
        Path | None,
        Parameter(name="--from-docker-archive", help="What docker save or podman save wrote, uncompressed."),
    ] = None
    into: Annotated[
        str | None,
        Parameter(
            name="--into", help="The repository for images of a layout or archive, whatever their names say."
        ),
    ] = None
    username: Annotated[
        str | None, Parameter(name="--username", help="Who to log in as at the registry.")
    ] = None
    password_file: Annotated[
        Path | None, Parameter(name="--password-file", help="File with the password or token for it.")
    ] = None
    auth_file: Annotated[
        Path | None,
        Parameter(
            name="--auth-file",
            help="File that docker login or podman login wrote. Default: where those keep theirs.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None, Parameter(name="--ca-file", help="Authorities to believe instead of the system's, PEM.")
    ] = None
    token_host: Annotated[
        tuple[str, ...],
        Parameter(
            name="--token-host",
            help="A host of another domain that hands out tokens for the registry and may get the login.",
            negative="",
        ),
    ] = ()
    insecure_http: Annotated[
        bool, Parameter(name="--insecure-http", negative="", help="Allow http:// to another machine.")
    ] = False


@contextlib.asynccontextmanager
async def opened_source(place: ImportSource, parallel: int) -> AsyncIterator[ImageSource]:
    """Open what the options name, and close it.

    Args:
        place: names it.
        parallel: how many images are under way at once.

    Raises:
        SourceUnusableError: none is named, or several are, or it can't be read.
    """
    source = await _open(place, parallel)
    try:
        yield source
    finally:
        await source.aclose()


async def _open(place: ImportSource, parallel: int) -> ImageSource:
    given = [
        one
        for one in (place.from_, place.from_distribution, place.from_oci_layout, place.from_docker_archive)
        if one is not None
    ]
    if len(given) != 1:
        raise SourceUnusableError(
            "give one of --from, --from-distribution, --from-oci-layout and --from-docker-archive"
        )
    if place.from_distribution is not None:
        return await asyncio.to_thread(DistributionTree, place.from_distribution)
    if place.from_oci_layout is not None:
        return await open_layouts(place.from_oci_layout, place.into)
    if place.from_docker_archive is not None:
        return await open_docker_archive(place.from_docker_archive, place.into)
    return _open_registry(place, place.from_ or "", parallel)


def _open_registry(place: ImportSource, address: str, parallel: int) -> ImageSource:
    # Only an import from a running registry pays for the HTTP library.
    from entrepot.transfer.remote.connection import ConnectionOptions  # noqa: PLC0415  # see above
    from entrepot.transfer.remote.credentials import find_credentials  # noqa: PLC0415  # see above
    from entrepot.transfer.remote.registry import RemoteRegistry, parse_registry_url  # noqa: PLC0415  # see above

    url = parse_registry_url(address, insecure_http=place.insecure_http)
    credentials = find_credentials(
        url.authority, place.username, place.password_file, place.auth_file, os.environ
    )
    options = ConnectionOptions(
        credentials=credentials,
        ca_file=place.ca_file,
        token_hosts=frozenset(place.token_host),
        connections=2 * parallel,
    )
    return RemoteRegistry(url, options)
