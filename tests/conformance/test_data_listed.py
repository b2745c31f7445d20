"""Every kind of content is found by the lists: tags, and referrers of each subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.cases import each_kind, each_subject, in_both_setups
from tests.conformance.data import INDEX
from tests.conformance.kinds import KINDS
from tests.conformance.sections import Section, cites
from tests.conformance.wire import describe, judged

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.data import Manifest
    from tests.conformance.pushing import Pushed

pytestmark = in_both_setups


def _expected_entry(manifest: Manifest) -> dict[str, Any]:
    entry: dict[str, Any] = manifest.descriptor()
    if manifest.listed_artifact_type is not None:
        entry["artifactType"] = manifest.listed_artifact_type
    if manifest.annotations:
        entry["annotations"] = dict(manifest.annotations)
    return entry


def _by_digest(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: entry["digest"])


@cites(Section.TAGS)
@each_kind()
def test_the_tags_are_listed(pushed: Callable[[str], Pushed], kind: str) -> None:
    """200, the name of the repository, and every tag once in byte order; none when nothing was tagged."""
    content = pushed(kind)
    response = judged(content.repository.tags())

    assert response.status_code == 200, describe(response)
    assert response.json() == {"name": content.repository.name, "tags": sorted(KINDS[kind].tags)}


@cites(Section.REFERRERS)
@each_subject()
def test_the_referrers_are_listed(pushed: Callable[[str], Pushed], kind: str, subject: str) -> None:
    """An index of what names the subject, with type, size, artifact type and annotations; it may not exist itself."""
    response = judged(pushed(kind).repository.referrers(subject))

    assert response.status_code == 200, describe(response)
    assert response.headers["content-type"] == INDEX
    assert "oci-filters-applied" not in response.headers
    index = response.json()
    assert (index["schemaVersion"], index["mediaType"]) == (2, INDEX)
    referring = [_expected_entry(one) for one in KINDS[kind].manifests if one.subject == subject]
    assert _by_digest(index["manifests"]) == _by_digest(referring)


@cites(Section.REFERRERS)
@each_subject()
def test_the_referrers_of_each_artifact_type_are_listed(
    pushed: Callable[[str], Pushed], kind: str, subject: str
) -> None:
    """A filter leaves those of that type, also where the type is that of the configuration, and says so."""
    content = pushed(kind)
    referring = [one for one in KINDS[kind].manifests if one.subject == subject]
    types = {one.listed_artifact_type for one in referring} - {None}
    for artifact_type in types:
        response = judged(content.repository.referrers(subject, artifactType=str(artifact_type)))
        assert response.status_code == 200, describe(response)
        assert response.headers["oci-filters-applied"] == "artifactType"
        expected = [_expected_entry(one) for one in referring if one.listed_artifact_type == artifact_type]
        assert _by_digest(response.json()["manifests"]) == _by_digest(expected)


@cites(Section.REFERRERS)
@each_subject()
def test_no_referrers_of_an_unknown_artifact_type_are_listed(
    pushed: Callable[[str], Pushed], kind: str, subject: str
) -> None:
    """An empty list, filtered."""
    response = judged(
        pushed(kind).repository.referrers(subject, artifactType="application/vnd.example.nobody")
    )

    assert (response.status_code, response.json()["manifests"]) == (200, []), describe(response)
    assert response.headers["oci-filters-applied"] == "artifactType"


@cites(Section.REFERRERS)
@each_kind()
def test_what_nobody_refers_to_has_no_referrers(pushed: Callable[[str], Pushed], kind: str) -> None:
    """200 and an empty index for every manifest that is nobody's subject."""
    content = pushed(kind)
    for manifest in KINDS[kind].manifests:
        if manifest.digest not in KINDS[kind].subjects:
            response = judged(content.repository.referrers(manifest.digest))
            assert (response.status_code, response.json()["manifests"]) == (200, []), describe(response)
