"""What the edge reads of a request before any service sees it: paths, references, queries, conditions, page links."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.conditions import entity_tag, is_known_to_client, wanted_part
from entrepot.distribution_api.errors import MethodNotAllowedError, RequestError, RouteUnknownError
from entrepot.distribution_api.manifests import parse_reference
from entrepot.distribution_api.pages import MAX_PAGE_SIZE, PageRequest, read_page_request
from entrepot.distribution_api.preconditions import tag_condition
from entrepot.distribution_api.requests import Request
from entrepot.distribution_api.routes import ROUTES, Endpoint, find_route
from entrepot.oci.digest import Digest, InvalidDigestError
from entrepot.oci.manifest import InvalidManifestError, UnsupportedManifestError, parse_manifest
from entrepot.oci.media_types import OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError, RepositoryName, TagName
from entrepot.oci.pagination import InvalidPageSizeError
from entrepot.oci.ranges import (
    InvalidContentRangeError,
    UnsatisfiableRangeError,
    parse_byte_range,
    parse_content_range,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.kernel.asgi import Message

_ANY_PACE: Final = PaceLimits(0, 30.0, 60.0)
_any_text = st.text(st.characters(exclude_categories=()))
_segment = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
_words = st.sampled_from(["manifests", "blobs", "uploads", "tags", "list", "referrers", "v2", "_catalog"])
_name = st.lists(_segment | _words.filter(lambda word: word[0] != "_"), min_size=1, max_size=5).map("/".join)
_tag = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", fullmatch=True)
_digest = st.binary(max_size=4).map(Digest.of_bytes)
_latin_1 = st.text(st.characters(max_codepoint=255)).map(lambda text: text.encode("latin-1"))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _request(query: bytes = b"", **headers: bytes) -> Request:
    fields = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/v2/", "query_string": query, "headers": fields}
    return Request(scope, _nothing, _ANY_PACE)


@given(
    _any_text
    | st.lists(_words | _segment | _any_text, max_size=7).map(lambda parts: "/v2/" + "/".join(parts))
)
def test_s1_any_path_is_read_as_one_endpoint_or_none(path: str) -> None:
    """What is read of a path can be written back to that very path: nothing is dropped, nothing made up."""
    try:
        route, target = find_route("GET", path)
    except (RouteUnknownError, MethodNotAllowedError):
        return
    assert route.endpoint is target.endpoint
    written = (
        target.endpoint.replace("<name>", target.name)
        .replace("<reference>", target.reference)
        .replace("<digest>", target.reference)
        .replace("<session>", target.reference)
    )
    assert path in {written, written.removesuffix("/") if target.endpoint is Endpoint.PING else written}


@given(_name, _tag | _digest.map(str), st.sampled_from([one for one in Endpoint if "<name>" in one]))
def test_s1_every_name_reaches_its_endpoint(name: str, reference: str, endpoint: Endpoint) -> None:
    """Names that look like other parts of paths included."""
    path = re.sub("<(?:reference|digest|session)>", reference, endpoint.replace("<name>", name))
    method = next(one.methods[0] for one in ROUTES if one.endpoint is endpoint)

    _, target = find_route(method, path)

    assert (target.endpoint, target.name) == (endpoint, name)
    assert str(RepositoryName.parse(target.name)) == name


@given(
    _any_text
    | _tag
    | _digest.map(str)
    | _digest.map(lambda digest: f"{digest} ")
    | _tag.map("sha256:{}".format)
)
def test_s34_a_reference_is_a_tag_or_a_digest_and_never_both(text: str) -> None:
    """And is written as it was read."""
    try:
        reference = parse_reference(text)
    except (InvalidDigestError, InvalidTagNameError):
        return
    assert str(reference) == text
    pattern = (
        r"sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})" if isinstance(reference, Digest) else r"[\w.-]{1,128}"
    )
    assert re.fullmatch(pattern, text, re.ASCII) is not None


@given(_tag | _digest.map(str))
def test_every_tag_and_digest_is_a_reference(text: str) -> None:
    assert parse_reference(text) == (Digest.parse(text) if ":" in text else TagName.parse(text))


@given(st.binary() | _latin_1, st.sampled_from(["n", "last", "digest", "mount", "tag"]))
@example(b"n=%ED%A0%80", "n")
@example(b"&" * 4000, "n")
@example(b"%", "n")
def test_any_query_is_read_or_refused(query: bytes, field: str) -> None:
    """Nothing but RequestError, and no text that UTF-8 can't hold."""
    request = _request(query)
    try:
        values = request.query_values(field)
    except RequestError:
        return
    for value in values:
        value.encode("utf-8")


@given(st.lists(st.tuples(st.sampled_from(["n", "last", "tag"]), st.text(max_size=10)), max_size=6))
def test_a_query_is_read_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    """Every field, in order; one that is asked for as the only one must be."""
    request = _request(urlencode(fields).encode())

    for name in ("n", "last", "tag"):
        values = [value for field, value in fields if field == name]
        assert request.query_values(name) == values
        if len(values) > 1:
            with pytest.raises(RequestError):
                request.query(name)
        else:
            assert request.query(name) == (values[0] if values else None)


@given(
    _any_text.map(lambda text: quote(text.encode("utf-8", "replace"))), st.integers(-2, 10**40) | _any_text
)
def test_s36_any_page_request_is_bounded_or_refused(last: str, size: object) -> None:
    query = urlencode({"n": str(size).encode("utf-8", "replace")}) + f"&last={last}"
    try:
        asked = read_page_request(_request(query.encode()))
    except InvalidPageSizeError:
        return
    assert 0 <= asked.size <= MAX_PAGE_SIZE
    assert "\0" not in asked.after


@given(
    st.integers(1, MAX_PAGE_SIZE),
    _name,
    _tag | _digest.map(str) | st.text(min_size=1).filter(lambda text: "\0" not in text),
    st.none() | st.text(min_size=1),
)
def test_the_link_to_a_page_leads_to_that_page(
    size: int, name: str, last: str, artifact_type: str | None
) -> None:
    """Whatever the last entry and the filter are called, the URL that a client follows asks for what was meant."""
    filters = None if artifact_type is None else {"artifactType": artifact_type}

    header, value = PageRequest(size, "").next_page_link(f"/v2/{name}/tags/list", last, filters)

    match = re.fullmatch(rb'<([!-;=?-~]*)>; rel="next"', value)
    assert (header, match is not None) == (b"link", True)
    assert match is not None
    url = urlsplit(match.group(1))
    request = _request(url.query)
    assert url.path.decode() == f"/v2/{name}/tags/list"
    assert read_page_request(request) == PageRequest(size, last)
    assert request.query("artifactType") == artifact_type


@given(
    _latin_1 | st.lists(_latin_1 | _digest.map(lambda digest: f'W/"{digest}"'.encode())).map(b",".join),
    _digest,
)
def test_any_condition_of_a_pull_is_read(header: bytes, digest: Digest) -> None:
    """304 only where the tag is named, or anything at all."""
    tag = entity_tag(str(digest).encode())

    if is_known_to_client(_request(if_none_match=header), tag):
        assert str(digest).encode() in header or header.strip() == b"*"
    assert is_known_to_client(_request(if_none_match=header + b', W/"%s"' % tag[1:-1]), tag)


@given(_latin_1, _latin_1 | st.just(b"bytes=0-1"), st.integers(0, 100))
def test_any_range_of_a_pull_is_read(condition: bytes, header: bytes, size: int) -> None:
    """Only UnsatisfiableRangeError; nothing at all where `If-Range` names something else."""
    tag = entity_tag(b"sha256:x")
    try:
        part = wanted_part(_request(range=header, if_range=condition), tag, size)
    except UnsatisfiableRangeError:
        assert condition.strip(b" \t") == tag
        return
    assert part is None or condition.strip(b" \t") == tag


@given(_latin_1, _latin_1)
def test_any_condition_of_a_push_is_read(match: bytes, none_match: bytes) -> None:
    """`If-Match` and `If-None-Match` raise nothing, and what is not quoted names no digest."""
    condition = tag_condition(_request(if_match=match, if_none_match=none_match))

    if b'"' not in match + none_match:
        assert not condition.one_of
        assert not condition.none_of


@given(_latin_1 | st.from_regex(rb"[0-9]{1,25}"))
@example("\u00b2".encode("latin-1"))
@example(b" 5")
@example(b"5_0")
def test_any_content_length_is_a_number_or_refused(header: bytes) -> None:
    request = _request(content_length=header)
    try:
        length = request.content_length()
    except RequestError:
        assert re.fullmatch(rb"[0-9]{1,19}", header) is None
        return
    assert re.fullmatch(rb"[0-9]{1,19}", header) is not None
    assert length == int(header)


_LENGTHS: Final = (250, 4_000, 200_000)
"""Just below the longest name, usual for a header, and more than anything but a manifest may have."""
_UNITS: Final = [
    "a",
    "-",
    "a-",
    "__",
    "a/",
    "9",
    "0",
    ",",
    "bytes=0-",
    "0-1,",
    " ",
    "\t",
    '"',
    "[",
    "{",
    "é",
    "&n=1",
    "%41",
]
_PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "digest": Digest.parse,
    "sha512 digest": lambda text: Digest.parse("sha512:" + text),
    "repository": RepositoryName.parse,
    "tag": TagName.parse,
    "reference": parse_reference,
    "range": lambda text: parse_byte_range("bytes=" + text, 100),
    "content-range": parse_content_range,
    "path": lambda text: find_route("GET", "/v2/" + text),
    "image": lambda text: parse_manifest(text.encode(), OCI_IMAGE_MANIFEST),
    "index": lambda text: parse_manifest(b'{"manifests":[' + text.encode(), OCI_IMAGE_INDEX),
    "query": lambda text: read_page_request(_request(text.encode())),
    "page size": lambda text: read_page_request(_request(b"n=" + text.encode())),
    "if-none-match": lambda text: is_known_to_client(_request(if_none_match=text.encode()), b'"a"'),
    "if-match": lambda text: tag_condition(_request(if_match=text.encode())),
    "content-length": lambda text: _request(content_length=text.encode()).content_length(),
}
_DECLARED: Final = (
    *(InvalidDigestError, InvalidRepositoryNameError, InvalidTagNameError, InvalidPageSizeError),
    *(InvalidContentRangeError, UnsatisfiableRangeError, InvalidManifestError, UnsupportedManifestError),
    *(RequestError, RouteUnknownError, MethodNotAllowedError),
)


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize("parser", _PARSERS)
def test_s40_no_long_input_takes_long(parser: str) -> None:
    """Half a second of processor time is a hundred times what it takes; quadratic work would take minutes."""
    for unit, length in itertools.product(_UNITS, _LENGTHS):
        text = unit * (length // len(unit)) + "!"
        started = time.process_time()
        with contextlib.suppress(*_DECLARED):
            _PARSERS[parser](text)
        assert time.process_time() - started < 0.5, (unit, length)


@given(st.sampled_from(sorted(_PARSERS)), st.text(max_size=40))
def test_no_parser_raises_what_it_does_not_declare(parser: str, text: str) -> None:
    try:
        _PARSERS[parser](text)
    except _DECLARED:
        return
