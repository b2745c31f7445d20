"""Stores of each kind, fresh for every test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiobotocore import session as sdk

from entrepot.blobstore.s3 import S3Options
from tests.drivers.blobstore.opening import StoreAddress, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore
    from tests.drivers.s3_server import S3Server


def s3_options(server: S3Server) -> S3Options:
    """Return options for a part of the server's bucket that no other test uses."""
    return S3Options(
        bucket=server.bucket,
        endpoint_url=server.endpoint_url,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        prefix=f"{secrets.token_hex(4)}/",
        part_bytes=5 * 1024 * 1024,
    )


def _address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    if kind == "s3":
        return StoreAddress(s3=s3_options(request.getfixturevalue("s3_server")))
    return StoreAddress(root=str(tmp_path / "store") if kind == "filesystem" else "")


@pytest.fixture(scope="session")
def sdk_session() -> object:
    """One SDK session for all tests, because parsing the model of the service costs more than most tests."""
    return cast("Any", sdk).get_session()


@pytest.fixture(params=["memory", "filesystem", "s3"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, sdk_session: object
) -> AsyncIterator[BlobStore]:
    """Every driver."""
    opened = await open_store(_address(request.param, request, tmp_path), sdk_session)
    yield opened
    await opened.aclose()


@pytest.fixture(params=["memory", "filesystem"])
async def locking_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    """Every driver that can tell whether an upload is held."""
    opened = await open_store(_address(request.param, request, tmp_path))
    yield opened
    await opened.aclose()


@pytest.fixture(params=["filesystem", "s3"])
def shared_address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    """Every kind of store that several processes can use."""
    return _address(request.param, request, tmp_path)


@pytest.fixture
async def shared_store(shared_address: StoreAddress, sdk_session: object) -> AsyncIterator[BlobStore]:
    """This process's view of the shared store."""
    opened = await open_store(shared_address, sdk_session)
    yield opened
    await opened.aclose()
