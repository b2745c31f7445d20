"""The sections of the specification that cases cite, so that none is without a source and a reader finds it."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Test = TypeVar("Test", bound=Callable[..., object])

__all__ = ["Section", "cites", "dev_level"]


@unique
class Section(StrEnum):
    """Headings of the OCI distribution-spec (as of July 2026, "dev"); those before it are the same in 1.1."""

    SUPPORT = "Determining Support"
    PULLING_MANIFESTS = "Pulling manifests"
    PULLING_BLOBS = "Pulling blobs"
    EXISTENCE = "Checking if content exists in the registry"
    PUSHING = "Push"
    PUSHING_BLOBS = "Pushing blobs"
    POST_THEN_PUT = "POST then PUT"
    SINGLE_POST = "Single POST"
    CHUNKS = "Pushing a blob in chunks"
    CANCEL = "Cancel a blob upload"
    MOUNT = "Mounting a blob from another repository"
    PUSHING_MANIFESTS = "Pushing Manifests"
    SUBJECT = "Pushing Manifests with Subject"
    TAGS = "Listing Tags"
    REFERRERS = "Listing Referrers"
    REFERRERS_TAG = "Referrers Tag Schema"
    ENABLING_REFERRERS = "Enabling the Referrers API"
    DELETING_TAGS = "Deleting tags"
    DELETING_MANIFESTS = "Deleting Manifests"
    DELETING_BLOBS = "Deleting Blobs"
    PROXYING = "Registry Proxying"
    ERRORS = "Error Codes"
    WARNINGS = "Warnings"


def cites(*sections: Section) -> pytest.MarkDecorator:
    """Mark a test (or a module's tests) with the sections it was written from; the suite refuses one without."""
    return pytest.mark.cites(*sections)


def dev_level(test: Test) -> Test:
    """Mark a test as asking what only the development level of the specification demands, 1.1 merely allows."""
    marked: Test = pytest.mark.dev_level(test)
    return marked
