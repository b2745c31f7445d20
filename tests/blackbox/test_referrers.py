"""Lists of referrers from outside ("Listing Referrers"): the API, its pages, and the lists that older clients keep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import (
    IMAGE_MANIFEST,
    INDEX,
    build_image,
    build_layer,
    digest_of,
    to_json,
)

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.blackbox.clients.program import Program
    from tests.running.entrepot import RunningEntrepot

_IMAGE: Final = build_image([build_layer({"file": b"content"})])
_SIGNATURE: Final = "application/vnd.tests.signature.v1+json"
_REPORT: Final = "application/vnd.tests.report"
_EMPTY: Final = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}
_SUBJECT: Final = {"mediaType": IMAGE_MANIFEST, "digest": _IMAGE.digest, "size": len(_IMAGE.manifest)}


def _artifact(artifact_type: str | None = _SIGNATURE, **more: Any) -> bytes:
    typed = {} if artifact_type is None else {"artifactType": artifact_type}
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": _EMPTY,
        "layers": [_EMPTY],
        "subject": _SUBJECT,
    }
    return to_json({**document, **typed, **more})


def _attach(http: RegistryClient, manifest: bytes, media_type: str = IMAGE_MANIFEST) -> str:
    digest = digest_of(manifest)
    response = http.put_manifest(digest, manifest, media_type)
    assert response.status_code == 201, response.text
    return digest


def _referrers(http: RegistryClient, digest: str = _IMAGE.digest, **query: Any) -> httpx.Response:
    response = http.request("GET", f"referrers/{digest}", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == INDEX
    return response


def _digests(response: httpx.Response) -> list[str]:
    document = response.json()
    assert (document["schemaVersion"], document["mediaType"]) == (2, INDEX)
    return [entry["digest"] for entry in document["manifests"]]


@pytest.fixture
def subject(http: RegistryClient) -> RegistryClient:
    """Return a repository with an image and the empty blob."""
    http.push_blob(b"{}")
    http.push_blobs(_IMAGE)
    assert http.put_manifest("v1", _IMAGE.manifest).status_code == 201
    return http


def test_what_names_an_image_as_its_subject_is_listed(subject: RegistryClient) -> None:
    """Descriptors with artifact type and annotations, in the order of digests; OCI-Subject on the push."""
    manifests = [_artifact(annotations={"n": str(number)}) for number in range(5)]
    for manifest in manifests:
        response = subject.put_manifest(digest_of(manifest), manifest)
        assert (response.status_code, response.headers["oci-subject"]) == (201, _IMAGE.digest)

    response = _referrers(subject)

    assert _digests(response) == sorted(digest_of(manifest) for manifest in manifests)
    assert "oci-filters-applied" not in response.headers
    by_digest = {digest_of(manifest): manifest for manifest in manifests}
    for entry in response.json()["manifests"]:
        manifest = by_digest[entry["digest"]]
        assert entry == {
            "mediaType": IMAGE_MANIFEST,
            "digest": digest_of(manifest),
            "size": len(manifest),
            "artifactType": _SIGNATURE,
            "annotations": json.loads(manifest)["annotations"],
        }


def test_nothing_attached_is_an_empty_index(http: RegistryClient) -> None:
    """Never 404: of an unknown repository, of an unknown subject and of one without referrers."""
    assert _digests(_referrers(http)) == []
    http.push_blobs(_IMAGE)
    assert _digests(_referrers(http)) == []
    assert http.put_manifest("v1", _IMAGE.manifest).status_code == 201
    assert _digests(_referrers(http)) == []


@pytest.mark.parametrize("reference", ["latest", "sha256:0", "sha256:" + "G" * 64])
def test_what_is_no_digest_is_refused(http: RegistryClient, reference: str) -> None:
    """400 DIGEST_INVALID."""
    assert error_code(http.request("GET", f"referrers/{reference}")) == (400, "DIGEST_INVALID")


def test_a_filter_is_applied_and_says_so(subject: RegistryClient) -> None:
    """By artifact type, or by the config's media type where there is none."""
    signature = _attach(subject, _artifact())
    report = _attach(subject, _artifact(_REPORT))
    untyped = _attach(subject, _artifact(None))

    for wanted, expected in (
        (_SIGNATURE, [signature]),
        (_REPORT, [report]),
        (str(_EMPTY["mediaType"]), [untyped]),
        ("application/vnd.tests.none", []),
    ):
        response = _referrers(subject, artifactType=wanted)
        assert (_digests(response), response.headers["oci-filters-applied"]) == (expected, "artifactType")


def test_link_leads_through_all_pages(subject: RegistryClient) -> None:
    """Each referrer once, with and without a filter, which the Link keeps."""
    attached = [_attach(subject, _artifact(annotations={"n": str(number)})) for number in range(7)]
    _attach(subject, _artifact(_REPORT))
    for query, expected in (({"artifactType": _SIGNATURE}, sorted(attached)), ({}, None)):
        response = _referrers(subject, n=3, **query)
        found, pages = _digests(response), 1
        while "next" in response.links:
            response = subject.client.get(response.links["next"]["url"])
            found += _digests(response)
            pages += 1
        assert found == sorted(set(found))
        assert (len(found), pages) == ((7, 3) if query else (8, 3))
        assert expected is None or found == expected


def test_s37_annotations_do_not_make_a_page_larger_than_a_manifest(subject: RegistryClient) -> None:
    """Pages end at four MiB; all of them together are the whole list."""
    attached = [
        _attach(subject, _artifact(annotations={"n": str(number), "note": "x" * 1_500_000}))
        for number in range(4)
    ]
    response = _referrers(subject)
    found, sizes = _digests(response), [len(response.content)]
    while "next" in response.links:
        response = subject.client.get(response.links["next"]["url"])
        found += _digests(response)
        sizes.append(len(response.content))

    assert found == sorted(attached)
    assert max(sizes) <= 4 * 1024 * 1024


def test_a_list_that_a_client_keeps_under_a_tag_is_part_of_the_answer(subject: RegistryClient) -> None:
    """Also its entries that came after it or that name no subject; each once; the list itself is no referrer."""
    attached = _artifact()
    silent = to_json(
        {key: value for key, value in json.loads(_artifact(_REPORT)).items() if key != "subject"}
    )
    digests = [_attach(subject, attached), _attach(subject, silent)]
    entries = [
        {"mediaType": IMAGE_MANIFEST, "digest": digest_of(one), "size": len(one)}
        for one in (attached, silent)
    ]
    listing = to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    assert subject.put_manifest(_IMAGE.digest.replace(":", "-"), listing, INDEX).status_code == 201

    assert _digests(_referrers(subject)) == sorted(digests)
    assert _digests(_referrers(subject, artifactType=_REPORT)) == [digests[1]]


def test_a_deleted_referrer_is_not_listed(subject: RegistryClient) -> None:
    """At once, while the others stay."""
    first, second = (_attach(subject, _artifact(annotations={"n": str(number)})) for number in range(2))

    assert subject.request("DELETE", f"manifests/{first}").status_code == 202

    assert _digests(_referrers(subject)) == [second]


def test_oras_attaches_and_discovers(
    oras: Program, registry: RunningEntrepot, subject: RegistryClient, tmp_path: Path
) -> None:
    """By the API, as its flag demands; no list under a tag is pushed, since the registry answers OCI-Subject."""
    (tmp_path / "report.txt").write_bytes(b"all is well\n")
    reference = f"{registry.host}/{subject.repository}:v1"
    for number in range(3):
        oras.run("attach", "--plain-http", "--disable-path-validation", "--artifact-type", _REPORT, reference,
                 f"{tmp_path}/report.txt:text/plain", "--annotation", f"number={number}")  # fmt: skip

    found = json.loads(
        oras.run("discover", "--plain-http", "--distribution-spec", "v1.1-referrers-api", "--artifact-type", _REPORT,
                 "--format", "json", reference)
    )  # fmt: skip

    entries = found.get("referrers") or found["manifests"]
    assert sorted(entry["digest"] for entry in entries) == _digests(_referrers(subject, artifactType=_REPORT))
    assert len(entries) == 3
    assert subject.request("GET", "tags/list").json()["tags"] == ["v1"]
