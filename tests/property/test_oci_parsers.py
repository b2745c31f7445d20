"""The parsers of what clients send: they raise only what they declare, and what they return holds."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from entrepot.oci.digest import ALGORITHMS, Algorithm, Digest, InvalidDigestError
from entrepot.oci.manifest import (
    InvalidManifestError,
    ManifestTooLargeError,
    ParsedManifest,
    UnsupportedManifestError,
    parse_manifest,
)
from entrepot.oci.media_types import ACCEPTED_MANIFEST_TYPES, DOCKER_MANIFEST_SCHEMA1
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError, RepositoryName, TagName
from entrepot.oci.pagination import InvalidPageSizeError, parse_page_size
from entrepot.oci.ranges import (
    ContentRange,
    InvalidContentRangeError,
    UnsatisfiableRangeError,
    parse_byte_range,
    parse_content_range,
)
from entrepot.oci.strict_json import InvalidJsonError, parse_strict_json
from tests.unit.oci.manifest_samples import docker_image, docker_list, encode, oci_image, oci_index

_MANIFEST_ERRORS = (InvalidManifestError, UnsupportedManifestError, ManifestTooLargeError)

# Hypothesis leaves surrogates out of `text()` by default; a header or a JSON escape may hold them.
_any_text = st.text(st.characters(exclude_categories=()))
_content_types = (
    st.none() | st.sampled_from([*sorted(ACCEPTED_MANIFEST_TYPES), DOCKER_MANIFEST_SCHEMA1]) | _any_text
)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**90, 10**110) | st.floats() | _any_text,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(_any_text, children, max_size=4),
    max_leaves=12,
)
_member_names = [
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "layers",
    "config",
    "manifests",
    "Layers",
]
_samples = [oci_image(), oci_index(), docker_image(), docker_list(), oci_image(subject=oci_image()["config"])]


def _parse_or_none(body: bytes, content_type: str | None) -> ParsedManifest | None:
    try:
        return parse_manifest(body, content_type)
    except _MANIFEST_ERRORS:
        return None


def _objects_within(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a sample that a mutation may change: itself and its descriptors."""
    named = [document[name] for name in ("config", "subject") if name in document]
    return [document, *named, *document.get("layers", []), *document.get("manifests", [])]


@st.composite
def _mutated_manifests(draw: st.DrawFn) -> bytes:
    """A well-formed manifest in which up to three members, at any depth, are replaced, removed or added."""
    document: dict[str, Any] = json.loads(encode(draw(st.sampled_from(_samples))))
    places = _objects_within(document)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(places))
        name = draw(st.sampled_from([*sorted(place), *_member_names]) | _any_text)
        if draw(st.booleans()):
            place[name] = draw(_json_values)
        else:
            place.pop(name, None)
    return json.dumps(document).encode()


@given(st.binary(), _content_types)
def test_s32_arbitrary_bytes_raise_nothing_undeclared(body: bytes, content_type: str | None) -> None:
    assert _parse_or_none(body, content_type) is None


@given(_json_values, _content_types)
def test_s32_arbitrary_json_raises_nothing_undeclared(document: object, content_type: str | None) -> None:
    assert _parse_or_none(json.dumps(document).encode(), content_type) is None


@given(_mutated_manifests(), _content_types)
def test_s32_a_mutated_manifest_raises_nothing_undeclared(body: bytes, content_type: str | None) -> None:
    manifest = _parse_or_none(body, content_type)

    assert manifest is None or manifest.media_type in ACCEPTED_MANIFEST_TYPES


@given(_mutated_manifests())
def test_s32_what_is_read_of_a_mutated_manifest_can_be_stored_and_agrees_with_its_bytes(body: bytes) -> None:
    manifest = _parse_or_none(body, None)
    assume(manifest is not None)
    assert manifest is not None

    document: dict[str, Any] = json.loads(body)
    assert document["mediaType"] == manifest.media_type
    assert not ("manifests" in document and {"layers", "config"} & document.keys())
    expected: list[dict[str, Any]] = document.get("manifests") or document.get("layers") or []
    read = manifest.manifests or manifest.layers
    assert [(str(entry.digest), entry.size) for entry in read] == [
        (entry["digest"], entry["size"]) for entry in expected
    ]
    json.dumps([dict(manifest.annotations), manifest.artifact_type], ensure_ascii=False).encode("utf-8")
    assert len({blob.digest for blob in manifest.blob_references}) == len(manifest.blob_references)


@given(st.sampled_from(_samples), st.data())
def test_s32_repeating_any_member_makes_a_manifest_invalid(
    sample: dict[str, Any], data: st.DataObject
) -> None:
    body = encode(sample).decode()
    members = list(re.finditer(r'"\w+": (?:"[^"]*"|\d+)', body))
    member = data.draw(st.sampled_from(members))
    repeated = f"{body[: member.end()]}, {member.group()}{body[member.end() :]}"

    with pytest.raises(InvalidManifestError, match="occurs twice"):
        parse_manifest(repeated.encode(), None)


@pytest.mark.parametrize("depth", [65, 999, 1000, 5000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_s32_no_depth_lets_a_recursion_error_escape(depth: int, opening: str, closing: str) -> None:
    body = f'{{"schemaVersion":2,"x":{opening * depth}1{closing * depth}}}'.encode()

    for document in (body, body[: len(body) // 2]):
        with pytest.raises(InvalidManifestError):
            parse_manifest(document, "application/vnd.oci.image.manifest.v1+json")


@given(_json_values)
def test_strict_json_reads_what_the_standard_library_reads_or_refuses(document: object) -> None:
    body = json.dumps(document).encode()
    try:
        read = parse_strict_json(body)
    except InvalidJsonError:
        assert re.search(rb"NaN|Infinity|\\ud|\\u0000|[0-9]{101}", body) is not None
    else:
        assert read == json.loads(body)


@given(st.binary(), st.sampled_from(ALGORITHMS))
def test_s33_every_digest_survives_being_written_and_read(data: bytes, algorithm: Algorithm) -> None:
    digest = Digest.of_bytes(data, algorithm)

    assert Digest.parse(str(digest)) == digest


@given(_any_text | st.from_regex(r"(sha256|sha512|sha1):[0-9a-fA-F]{62,66}\s?"))
def test_s33_a_text_that_is_read_as_a_digest_is_written_the_same(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except InvalidDigestError:
        return
    assert str(digest) == text
    assert len(digest.hex) == {"sha256": 64, "sha512": 128}[digest.algorithm]


_segments = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(st.lists(_segments, min_size=1, max_size=6).map("/".join))
def test_every_name_of_the_grammar_is_read_and_written_the_same(text: str) -> None:
    assert str(RepositoryName.parse(text)) == text


@given(_any_text | st.from_regex(r"[a-zA-Z0-9._/\\%-]+"))
@example("a\n")
def test_s34_a_text_that_is_read_as_a_name_is_safe_and_written_the_same(text: str) -> None:
    try:
        name = RepositoryName.parse(text)
    except InvalidRepositoryNameError:
        return
    assert str(name) == text
    assert text.isascii()
    assert text == text.lower()
    assert not any(segment.strip(".") != segment or not segment for segment in text.split("/"))


@given(_any_text | st.from_regex(r"[a-zA-Z0-9._-]+"))
def test_s34_a_text_that_is_read_as_a_tag_is_safe_and_written_the_same(text: str) -> None:
    try:
        tag = TagName.parse(text)
    except InvalidTagNameError:
        return
    assert str(tag) == text
    assert text.isascii()
    assert text not in {".", ".."}
    assert "/" not in text


_positions = st.integers(0, 2**70) | st.integers(0, 40)


@given(
    st.builds("bytes={}-{}".format, _positions | st.just(""), _positions | st.just("")) | _any_text,
    st.integers(0, 2**63) | st.integers(0, 40),
)
def test_s40_a_range_always_lies_within_the_content(header: str, size: int) -> None:
    try:
        byte_range = parse_byte_range(header, size)
    except UnsatisfiableRangeError:
        return
    if byte_range is not None:
        assert 0 <= byte_range.start <= byte_range.end < size
        assert byte_range.length <= size


@given(st.binary(min_size=20, max_size=40), st.integers(0, 19), st.none() | st.integers(0, 45))
def test_a_range_selects_what_slicing_selects(content: bytes, first: int, last: int | None) -> None:
    last = None if last is None else first + last
    byte_range = parse_byte_range(f"bytes={first}-{'' if last is None else last}", len(content))

    assert byte_range is not None
    assert (
        content[byte_range.start : byte_range.end + 1] == content[first : None if last is None else last + 1]
    )


@given(st.binary(min_size=1, max_size=40), st.integers(1, 45))
def test_a_suffix_range_selects_the_end(content: bytes, length: int) -> None:
    byte_range = parse_byte_range(f"bytes=-{length}", len(content))

    assert byte_range is not None
    assert content[byte_range.start : byte_range.end + 1] == content[-length:]


@given(st.integers(0, 2**63 - 2), st.integers(1, 2**20), st.booleans())
def test_every_range_of_a_chunk_is_read_in_each_spelling(start: int, length: int, with_total: bool) -> None:
    end = start + length - 1
    assume(end <= 2**63 - 2)
    total = end + 1 if with_total else None

    assert parse_content_range(f"{start}-{end}") == ContentRange(start, end)
    assert parse_content_range(f"bytes {start}-{end}/{total or '*'}") == ContentRange(start, end, total)


@given(_any_text | st.from_regex(r"(bytes )?[0-9]{0,21}-[0-9]{0,21}(/[0-9*]{0,21})?"))
def test_a_text_that_is_read_as_the_range_of_a_chunk_has_a_length(header: str) -> None:
    try:
        content_range = parse_content_range(header)
    except InvalidContentRangeError:
        return
    assert 1 <= content_range.length <= 2**63 - 1
    assert content_range.total is None or content_range.total > content_range.end


@given(_any_text | st.integers().map(str), st.integers(0, 10_000))
def test_s36_a_page_size_never_exceeds_the_maximum(text: str, maximum: int) -> None:
    try:
        size = parse_page_size(text, maximum)
    except InvalidPageSizeError:
        assert re.fullmatch(r"[0-9]+", text) is None
        return
    assert size == min(int(text), maximum)
