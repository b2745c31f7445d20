"""Who asks, and what a browser may be made to send."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entrepot.control_api.credentials import session_cookie
from entrepot.control_api.request_head import read_head
from tests.unit.control_api.samples import SAMPLES
from tests.unit.control_api.stand import SECRETS, Stand, calling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.control_api.request_head import RequestHead

_MINE = "/api/v2.0/mine"
_COOKIE = {"Cookie": "sid=cookie-of-alice"}
_TOKEN = {"X-Harbor-CSRF-Token": "csrf-token"}


async def _status(headers: Mapping[str, str | bytes], method: str = "DELETE", external_url: str = "") -> int:
    stand = Stand(external_url=external_url)
    async with calling(stand.application(SAMPLES)) as client:
        path = _MINE if method == "DELETE" else "/api/v2.0/things"
        sent: Any = headers
        response = await client.request(method, path, headers=sent)
        return int(response.status_code)


def _basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (_basic(f"alice:{SECRETS['alice']}"), 200),
        ({"Authorization": f"basic {base64.b64encode(b'alice:alice-secret').decode()}"}, 200),
        ({"Authorization": f"Bearer {SECRETS['']}"}, 200),
        ({"Authorization": "Bearer ept_token-of-nobody"}, 401),
        (_basic(f":{SECRETS['']}"), 401),
        (_basic("alice:wrong"), 401),
        (_basic("alice:"), 401),
        (_basic("alice"), 401),
        ({"Authorization": "Basic ###"}, 401),
        ({"Authorization": "Basic /w=="}, 401),
        ({"Authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.e30.x"}, 401),
        ({"Authorization": "Digest x"}, 401),
        ({"Authorization": " "}, 401),
        ({}, 401),
    ],
)
async def test_credentials_are_basic_or_an_access_token(headers: dict[str, str], status: int) -> None:
    assert await _status(headers) == status


async def test_wrong_credentials_are_refused_where_none_would_do() -> None:
    """Whoever presents something wants to be known."""
    assert await _status(_basic("alice:wrong"), "GET") == 401
    assert await _status({}, "GET") == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (_COOKIE | _TOKEN, 200),
        (_COOKIE, 403),
        (_COOKIE | {"X-Harbor-CSRF-Token": ""}, 403),
        (_COOKIE | {"X-Harbor-CSRF-Token": "csrf-toke"}, 403),
        (_COOKIE | {"X-Harbor-CSRF-Token": "csrf-töken"}, 403),
        ({"Cookie": "sid=over"} | _TOKEN, 401),
        ({"Cookie": "sid=" + "a" * 600} | _TOKEN, 401),
        ({"Cookie": "other=1; sid=cookie-of-alice; more=2"} | _TOKEN, 200),
    ],
)
async def test_a_change_in_a_session_needs_its_token_s22(headers: dict[str, str], status: int) -> None:
    assert await _status({name: value.encode("latin-1") for name, value in headers.items()}) == status


async def test_reading_in_a_session_needs_no_token_and_tells_it_s22() -> None:
    async with calling(Stand().application(SAMPLES)) as client:
        response = await client.get("/api/v2.0/things", headers=_COOKIE)

    assert response.status_code == 200
    assert response.headers["x-harbor-csrf-token"] == "csrf-token"


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}])
async def test_a_change_that_is_refused_gets_no_token_and_keeps_no_session_s22(
    headers: dict[str, str],
) -> None:
    """Whoever had a browser send it learns nothing, nobody's session lasts longer, and the record names them."""
    stand = Stand()
    async with calling(stand.application(SAMPLES)) as client:
        refused = await client.post("/api/v2.0/users", json={"username": "x"}, headers=_COOKIE | headers)
        kept = list(stand.kept)
        done = await client.get("/api/v2.0/things", headers=_COOKIE)

    assert (refused.status_code, done.status_code) == (403, 200)
    assert "x-harbor-csrf-token" not in refused.headers
    assert (kept, stand.kept) == ([], ["cookie-of-alice"])
    assert [(note.action, note.user_name) for note in stand.notes] == [("access.denied", "alice")]


async def test_without_a_session_there_is_no_token() -> None:
    async with calling(Stand().application(SAMPLES), "alice") as client:
        response = await client.get("/api/v2.0/things")

    assert "x-harbor-csrf-token" not in response.headers


_FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://registry.example.evil.example"},
    {"Origin": "http://registry.example:8080"},
    {"Origin": "http://registry.example@evil.example"},
    {"Origin": "http://[bad"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]
_OWN = [
    {"Origin": "http://registry.example"},
    {"Origin": "http://registry.example", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {},
]


@pytest.mark.parametrize("credentials", [_COOKIE | _TOKEN, _basic(f"alice:{SECRETS['alice']}")])
@pytest.mark.parametrize("headers", _FOREIGN)
async def test_a_page_of_another_site_changes_nothing_s22(
    headers: dict[str, str], credentials: dict[str, str]
) -> None:
    """Browsers add the password that they remember to foreign requests as they add the cookie."""
    assert await _status(headers | credentials) == 403


@pytest.mark.parametrize("headers", _OWN)
async def test_pages_of_ours_and_programs_may_s22(headers: dict[str, str]) -> None:
    assert await _status(headers | _COOKIE | _TOKEN) == 200


async def test_the_address_that_people_use_is_ours_behind_a_proxy_s22() -> None:
    headers = {"Origin": "https://images.example"} | _COOKIE | _TOKEN

    assert await _status(headers, external_url="https://images.example") == 200
    assert await _status(headers, external_url="https://other.example") == 403
    assert await _status(headers, external_url="http://images.example") == 403


@pytest.mark.parametrize("headers", _FOREIGN)
async def test_reading_is_not_refused_for_where_it_comes_from(headers: dict[str, str]) -> None:
    """A foreign page can't see the answer; a link to us on one has to work."""
    assert await _status(headers | _COOKIE, "GET") == 200


async def test_a_forged_request_is_noted_i11() -> None:
    stand = Stand()
    async with calling(stand.application(SAMPLES)) as client:
        await client.delete(_MINE, headers=_COOKIE | {"Origin": "https://evil.example"})

    assert [record.action for record in stand.notes] == ["access.denied"]


async def test_two_authorizations_are_unclear_s1() -> None:
    async with calling(Stand().application(SAMPLES)) as client:
        headers = [("Authorization", "Basic YTpi"), ("Authorization", "Basic Yzpk")]
        response = await client.delete(_MINE, headers=headers)

    assert response.status_code == 400


async def test_two_cookie_headers_are_unclear_s1() -> None:
    async with calling(Stand().application(SAMPLES)) as client:
        headers = [("Cookie", "a=b"), ("Cookie", "sid=cookie-of-alice")]
        response = await client.get("/api/v2.0/things", headers=headers)

    assert response.status_code == 400


def _head(cookie: str) -> RequestHead:
    return read_head(
        {
            "method": "GET",
            "path": "/",
            "headers": [(b"cookie", cookie.encode("latin-1"))],
            "client": ("192.0.2.1", 1),
            "scheme": "http",
        },
        "request-1",
    )


_OTHER_COOKIES = st.lists(
    st.text(st.characters(max_codepoint=255, exclude_characters=";"), max_size=12).filter(
        lambda pair: pair.partition("=")[0].strip(" \t") != "sid"
    ),
    max_size=4,
)


@given(_OTHER_COOKIES, _OTHER_COOKIES)
@example(['prefs={"a":1}'], [])
@example(["\xa0", '"'], ["=", "sid2=x", "Sid=y"])
def test_the_session_is_found_whatever_other_cookies_there_are_s22(
    before: list[str], after: list[str]
) -> None:
    header = "; ".join([*before, "sid=ess_secret", *after])

    assert session_cookie(_head(header)) == "ess_secret"
    assert session_cookie(_head("; ".join([*before, *after]))) == ""
    assert session_cookie(_head(f"{header}; sid=planted")) == ""
