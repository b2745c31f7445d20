"""The look that the suite takes at every answer finds what it is meant to find."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.digests import digest_of
from tests.conformance.obligations import broken_obligations
from tests.conformance.sections import Section, cites

_BLOB = f"/v2/a/b/blobs/{digest_of(b'x')}"


def _answer(status: int, *, method: str = "GET", path: str = "/v2/", **more: Any) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request(method, f"http://registry{path}"), **more)


def _error(code: object) -> dict[str, Any]:
    return {"json": {"errors": [{"code": code, "message": "m", "detail": None}]}}


@cites(Section.ERRORS, Section.WARNINGS, Section.EXISTENCE)
@pytest.mark.parametrize(
    "answer",
    [
        _answer(200),
        _answer(404, **_error("BLOB_UNKNOWN")),
        _answer(404, text="any format is fine"),
        _answer(404, method="HEAD"),
        _answer(401, **_error("UNAUTHORIZED"), headers={"www-authenticate": 'Bearer realm="r",service="s"'}),
        _answer(200, headers=[("warning", '299 - "soon"'), ("warning", '299 - "later"')]),
        _answer(200, path=_BLOB, content=b"x", headers={"docker-content-digest": digest_of(b"x")}),
        _answer(200, path=_BLOB, method="HEAD", headers={"docker-content-digest": digest_of(b"x")}),
        _answer(206, path=_BLOB, content=b"part", headers={"docker-content-digest": digest_of(b"x")}),
        _answer(204, path="/v2/a/blobs/uploads/0123"),
    ],
)
def test_a_sound_answer_passes(answer: httpx.Response) -> None:
    assert broken_obligations(answer) == []


@cites(Section.ERRORS, Section.WARNINGS, Section.EXISTENCE)
@pytest.mark.parametrize(
    "answer",
    [
        _answer(500),
        _answer(404, json={"error": "x"}),
        _answer(404, json=[]),
        _answer(404, json={"errors": []}),
        _answer(404, **_error("SOMETHING_ELSE")),
        _answer(404, **_error(None)),
        _answer(401, **_error("UNAUTHORIZED")),
        _answer(200, headers={"warning": '199 - "soon"'}),
        _answer(200, headers={"warning": '299 registry "soon"'}),
        _answer(200, headers={"warning": '299 - "soon" "Tue, 24 Nov 2026 00:00:00 GMT"; x'}),
        _answer(200, headers=[("warning", f'299 - "{"w" * 2048}"')] * 2),
        _answer(200, path=_BLOB, content=b"x"),
        _answer(200, path=_BLOB, content=b"y", headers={"docker-content-digest": digest_of(b"x")}),
        _answer(200, path=_BLOB, method="HEAD"),
        _answer(200, method="HEAD", content=b"x"),
    ],
)
def test_a_broken_obligation_is_found(answer: httpx.Response) -> None:
    assert len(broken_obligations(answer)) == 1
