"""Every kind of content is taken: each blob, each manifest, each tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance.cases import each_blob, each_manifest, each_tag, in_both_setups
from tests.conformance.data import Naming
from tests.conformance.kinds import KINDS
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe, judged

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.conformance.data import Blob, Manifest
    from tests.conformance.pushing import Pushed

pytestmark = in_both_setups


def _tags_named_by(response: httpx.Response) -> list[str]:
    """Return the tags of `OCI-Tag`, which may be given in one list or several (RFC 9110, section 5.3)."""
    values = response.headers.get_list("oci-tag")
    return sorted(tag.strip() for value in values for tag in value.split(","))


@cites(Section.POST_THEN_PUT, Section.SINGLE_POST, Section.CHUNKS)
@each_blob()
def test_a_blob_is_created_where_location_says(
    pushed: Callable[[str], Pushed], kind: str, blob: Blob
) -> None:
    """201, and the Location is pullable."""
    content = pushed(kind)
    response = judged(content.blobs[blob.digest])

    assert response.status_code == 201, describe(response)
    assert content.repository.client.get(content.repository.resolve(response)).content == blob.content


@cites(Section.PUSHING_MANIFESTS, Section.SUBJECT)
@each_manifest()
def test_a_manifest_is_created_under_its_digest(
    pushed: Callable[[str], Pushed], kind: str, manifest: Manifest
) -> None:
    """201, the digest the client named, its subject if it has one, and a Location that gives the exact bytes.

    The subject may not exist; `OCI-Subject` tells a client that it needs no tag to keep the referrers itself.
    """
    content = pushed(kind)
    response = judged(content.manifests[manifest.digest])

    assert response.status_code == 201, describe(response)
    assert response.headers["docker-content-digest"] == manifest.digest
    assert response.headers.get("oci-subject") == manifest.subject
    assert content.repository.client.get(content.repository.resolve(response)).content == manifest.body


@cites(Section.PUSHING_MANIFESTS, Section.SUBJECT)
@each_tag()
def test_a_manifest_is_created_under_a_tag(
    pushed: Callable[[str], Pushed], kind: str, tag: str, manifest: Manifest
) -> None:
    """As under its digest, which it had before; `OCI-Tag` names the tags that were parameters, and no others."""
    content = pushed(kind)
    response = judged(content.tags[tag])

    assert response.status_code == 201, describe(response)
    assert response.headers["docker-content-digest"] == manifest.digest
    assert response.headers.get("oci-subject") == manifest.subject
    parameters = manifest.tags if KINDS[kind].naming is Naming.BY_PARAMETER else ()
    assert _tags_named_by(response) == sorted(parameters)
    assert content.repository.client.get(content.repository.resolve(response)).content == manifest.body
