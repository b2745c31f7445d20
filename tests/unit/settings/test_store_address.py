"""Addresses of other blob stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrepot.settings import BucketAddress, DirectoryAddress, StoreAddress, parse_store_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("file:///mnt/a%20b/storage", DirectoryAddress(Path("/mnt/a b/storage"))),
        ("s3://bucket", BucketAddress("bucket", "")),
        ("s3://bucket/", BucketAddress("bucket", "")),
        ("s3://bucket/some/prefix", BucketAddress("bucket", "some/prefix/")),
    ],
)
def test_directories_and_buckets_are_read(text: str, address: StoreAddress) -> None:
    """A prefix ends with a slash, as keys want it."""
    assert parse_store_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "/mnt/storage", "file://host/x", "file://x", "s3:///x", "s3://key@bucket", "http://x"]
)
def test_anything_else_is_refused(text: str) -> None:
    """With what is accepted."""
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        parse_store_address(text)
