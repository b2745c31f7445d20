"""Whether this is a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import in_both_setups
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe

if TYPE_CHECKING:
    import httpx

pytestmark = [in_both_setups, cites(Section.SUPPORT)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_a_registry_says_that_it_is_one(client: httpx.Client, method: str, path: str) -> None:
    """200."""
    response = client.request(method, path)

    assert response.status_code == 200, describe(response)


@pytest.mark.parametrize("path", ["/v1/", "/v2/name/unheard-of/x", "/v2/name/manifests/", "/v3/"])
def test_what_is_no_endpoint_is_not_found(client: httpx.Client, path: str) -> None:
    """404."""
    assert client.get(path).status_code == 404
