"""What is taken for a secret in text, and what that costs."""

from __future__ import annotations

import json
import re
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.kernel.secret_forms import bytes_without_secrets, new_secret_of, without_secrets

_KINDS: Final = ("ept_", "epr_", "ers_", "ess_")
_TOKEN: Final = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
_SHOWN: Final = "…[0-9a-f]{16}"
_FOUND_FROM: Final = 4 + 20 + 6
"""So much of a secret tells that it is one; behind it are 17 characters more."""


@pytest.mark.parametrize("kind", _KINDS)
def test_every_secret_that_is_made_here_is_reduced_to_its_prefix_s27(kind: str) -> None:
    secret = new_secret_of(kind)
    shown = without_secrets(secret)
    text = f"/a/{secret}/x{secret}?q={secret}"

    assert re.fullmatch(f"{kind}[A-Za-z0-9_-]{{43}}", secret)
    assert re.fullmatch(f"{kind}{_SHOWN}", shown)
    assert without_secrets(text) == f"/a/{shown}/x{shown}?q={shown}"
    assert without_secrets(shown) is shown
    assert bytes_without_secrets(text.encode()).decode() == without_secrets(text)


@pytest.mark.parametrize(
    "before",
    [
        "access_",
        "users_",
        "accept_",
        "xept_",
        "a" * 40,
        "access_token_of_the_nightly_builds_in_ci__",
        "ept_" * 9,
    ],
)
def test_nothing_that_stands_before_a_secret_shields_it_s27(before: str) -> None:
    secret = new_secret_of("ers_")

    assert without_secrets(before + secret) == before + without_secrets(secret)
    assert without_secrets(before + _TOKEN) == before + without_secrets(_TOKEN)


def test_secrets_glued_to_each_other_are_each_masked_s27() -> None:
    first, second = new_secret_of("ept_"), new_secret_of("ess_")
    for text in (first + second, first[:_FOUND_FROM] + second, first[: _FOUND_FROM + 9] + second + _TOKEN):
        masked = without_secrets(text)
        assert re.fullmatch(f"ept_{_SHOWN}ess_{_SHOWN}(eyJ{_SHOWN})?", masked)


def test_a_secret_is_found_however_it_is_cut_until_most_of_it_is_missing_s27() -> None:
    secret = new_secret_of("ept_")
    for length in range(_FOUND_FROM, len(secret) + 1):
        assert re.fullmatch(f"ept_{_SHOWN}", without_secrets(secret[:length]))
    assert len(secret) - _FOUND_FROM == 17  # 102 bits


def test_a_signed_token_is_masked_s27() -> None:
    shown = without_secrets(_TOKEN)
    assert re.fullmatch(f"eyJ{_SHOWN}", shown)
    assert without_secrets(f"/v2/{_TOKEN}/manifests/1") == f"/v2/{shown}/manifests/1"
    assert without_secrets(f"a.b.{_TOKEN} eyJ.eyJ.x") == f"a.b.{shown} eyJ.eyJ.x"
    for before in ("x.", " .", "token.", "Bearer.", "a/b.", "1.", "..", "-_.", "x.eyJ"):
        assert without_secrets(before + _TOKEN) in {before + shown, "x." + without_secrets("eyJ" + _TOKEN)}
    for several in (f"{_TOKEN}.{_TOKEN}", f"eyJa.{_TOKEN}", f"{_TOKEN}{_TOKEN}", f"{_TOKEN}.eyJ.{_TOKEN}"):
        assert not any(part in without_secrets(several) for part in (*_TOKEN.split("."), _TOKEN[-12:]))
    assert json.loads(bytes_without_secrets(json.dumps({"a": f"\n{_TOKEN}"}).encode())) == {"a": f"\n{shown}"}


@pytest.mark.parametrize(
    "escaped",
    [
        "ept%5F",
        "ept%5f",
        "ept%255F",
        "ept%2525255F",
        "%65pt_",
        "%2565pt%255f",
        "e%70t_",
        "%%365pt_",
        "ept\\u005f",
        "\\u0065pt_",
    ],
)
def test_escapes_hide_nothing_s27(escaped: str) -> None:
    secret = new_secret_of("ept_")
    shown = without_secrets(secret)

    masked = without_secrets(f"/v2/a%2Fb/{escaped}{secret[4:]}/tags/list")
    assert masked.startswith("/v2/a%2Fb/")
    assert masked.endswith(f"{shown[1:]}/tags/list")
    two = without_secrets(f"{escaped}{secret[4:]} ers%25255F{new_secret_of('ers_')[4:]}")
    assert re.fullmatch(f".{{1,6}}pt_{_SHOWN} ers_{_SHOWN}", two)
    logged = json.dumps({"path": f"{escaped}{secret[4:]}"}).encode()
    assert json.loads(bytes_without_secrets(logged))["path"].endswith(shown[1:])


@pytest.mark.parametrize(
    "before",
    ["x%2", "100%4", "%6", "\\u002", "\\u006", "%252", "%25252", "%", "%25", "\\", "\\\\u00", "%2%2"],
)
def test_half_an_escape_before_a_secret_hides_nothing_s27(before: str) -> None:
    for secret in (new_secret_of("ept_"), _TOKEN):
        masked = without_secrets(before + secret)
        assert not any(secret[at : at + 8] in masked for at in range(4, len(secret) - 8))
    secret = new_secret_of("ept_")
    assert secret[4:12] not in without_secrets(f"{before}ept%5F{secret[4:]}")


@pytest.mark.parametrize("before", ["", ".", "100N", "/v2/team/", "ac"])
def test_what_lost_its_first_letter_is_found_s27(before: str) -> None:
    """As by `100%2ept_...` in a path, of which a server makes `100.pt_...`."""
    for secret in (new_secret_of("ept_"), _TOKEN):
        masked = without_secrets(f"{before}{secret[1:]}/x")
        assert re.fullmatch(re.escape(before) + f"(pt_|yJ){_SHOWN}/x", masked)


@given(st.text("eprs_tJy%\\u0525Ff.aA0-"))
def test_json_stays_json(text: str) -> None:
    secret = new_secret_of("ept_")
    told = json.loads(bytes_without_secrets(json.dumps({"a": f"{text} {secret} {text}"}).encode()))

    assert secret[4:] not in told["a"]


def test_what_is_no_secret_stays_the_object_that_it_is_i11() -> None:
    """Names of what exists may look like secrets, and must be found and erased under what they are."""
    for text in (
        "ept_short",
        "ers_emergency-response-system-frontend-for-the-v2-api",
        "ept_2026-11-29-release-candidate-of-everything-v1",
        "ess_1f0c2b3a4d5e6f708192a3b4c5d6e7f801234567",
        "epr_0b9f7a52-1f3c-4c8e-9a44-1c2d3e4f5a6b-v2-01",
        "robot$team+ers_build-x86-64-v2-arm64-v8-linux-k8s-n1",
        "ESS_PROD_EU1_K8S_NODE_POOL_A1_V2_GPU_X86_64_BASE",
        "ess_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6",
        "concept_a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6",
        "manifest sha256:" + "a" * 64,
        "kept_" + "a" * 60,
        "users_eyJ.a.b",
        "…",
        "customers_AcmeCorporation-Production-Environment-01-EU",
        "access_ControlPlane-ForTheProductionEnvironment-EU",
        "v1.eyJ.aaaaaaaaaaaaaaaaaaaa",
        "/v2/a%2Fb/tags/list%5Fof",
        "ept_" + "A" * 43,
    ):
        assert without_secrets(text) is text
        encoded = text.encode()
        assert bytes_without_secrets(encoded) is encoded
    plain = b'{"path":"/v2/team/app/manifests/v1"}'
    assert bytes_without_secrets(plain) is plain


@pytest.mark.parametrize(
    "before", ["", "/v2/", "x ", "a-", "t=", "ept_", "a%2F", "a%252F", "t%3D", "%20", "%22", r"\n"]
)
def test_a_secret_that_was_mistyped_or_is_in_letters_of_one_case_is_masked_s27(before: str) -> None:
    """The sum would help to mend it, and the other spelling of few hundreds to guess it."""
    secrets = [new_secret_of(kind) for kind in _KINDS for _ in range(50)]
    changes = re.compile(r"(?i)[a-z](?=\d)|\d(?=[a-z])")
    secrets = [
        secret
        for secret in secrets
        if len(changes.findall(secret[4:])) > 7 and len(re.findall("[_-]", secret[4:])) < 5  # 3 in 4
    ]
    assert len(secrets) > 100
    for secret in secrets:
        broken = secret[:10] + ("b" if secret[10] == "a" else "a") + secret[11:]
        for typed in (
            secret.lower(),
            secret.upper(),
            broken,
            secret[:7] + secret[8:],
            f"{secret[:8]}x{secret[8:]}",
        ):
            assert re.fullmatch(
                f"(?i){re.escape(before)}{typed[:4]}{_SHOWN}.?", without_secrets(before + typed)
            )


def test_a_secret_is_random_but_for_its_sum() -> None:
    secrets = [new_secret_of("ept_") for _ in range(200)]

    random = [secret[4:24] + secret[30:] for secret in secrets]
    assert len({part for secret in random for part in (secret[:10], secret[10:20], secret[20:])}) == 600


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 300_000,
        "eyJaaaa." * 100_000,
        ".eyJaaaa" * 100_000,
        "eyJ" + "a" * 900_000,
        "aaa.eyJ.aaaaaaaaaaaaaaaa" * 40_000,
        "ept_" * 250_000,
        "%25" * 300_000,
        "%" + "25" * 400_000,
        "%5F" * 300_000,
        "\\" * 900_000,
        "\\u005f" * 150_000,
    ],
)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    began = time.process_time()
    without_secrets(text)
    bytes_without_secrets(text.encode())

    assert time.process_time() - began < 3.0
