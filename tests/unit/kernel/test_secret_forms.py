"""What is taken for a secret in text, and what that costs."""

from __future__ import annotations

import json
import re
import time

import pytest

from entrepot.kernel.secret_forms import bytes_without_secrets, typed_without_secrets, without_secrets

_RANDOM = "aB3_-" * 8 + "xyz"
_TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


@pytest.mark.parametrize("kind", ["ept_", "epr_", "ers_", "ess_"])
def test_every_secret_that_is_made_here_is_reduced_to_its_prefix_s27(kind: str) -> None:
    shown = without_secrets(f"{kind}{_RANDOM}")
    text = f"/a/{kind}{_RANDOM}/x{kind}{_RANDOM}?q={kind}{_RANDOM}"

    assert re.fullmatch(f"{kind}…[0-9a-f]{{8}}", shown)
    assert without_secrets(text) == f"/a/{shown}/x{shown}?q={shown}"
    assert without_secrets(shown) is shown
    assert bytes_without_secrets(text.encode()).decode() == without_secrets(text)


def test_a_signed_token_is_masked_s27() -> None:
    shown = without_secrets(_TOKEN)
    assert re.fullmatch("eyJ…[0-9a-f]{8}", shown)
    assert without_secrets(f"/v2/{_TOKEN}/manifests/1") == f"/v2/{shown}/manifests/1"
    assert json.loads(bytes_without_secrets(json.dumps({"a": f"\n{_TOKEN}"}).encode())) == {"a": f"\n{shown}"}


@pytest.mark.parametrize("escaped", ["ept%5F", "ept%255F", "%65pt_", "%2565pt%255f"])
def test_what_was_sent_is_looked_into_as_it_may_be_decoded_s27(escaped: str) -> None:
    assert _RANDOM not in typed_without_secrets(f"/v2/{escaped}{_RANDOM}/tags/list")
    told = typed_without_secrets(f"there is no 'token' ({escaped}{_RANDOM})")
    assert told == f"there is no 'token' ({without_secrets('ept_' + _RANDOM)})"
    assert typed_without_secrets("/v2/a%2Fb/tags/list") == "/v2/a%2Fb/tags/list"


def test_what_is_no_secret_stays_the_object_that_it_is() -> None:
    for text in ("ept_short", "manifest sha256:" + "a" * 64, "kept_" + "a" * 60, "users_eyJ.a.b", "…"):
        assert without_secrets(text) == text
        encoded = text.encode()
        assert bytes_without_secrets(encoded) == encoded
    plain = b'{"path":"/v2/team/app/manifests/v1"}'
    assert bytes_without_secrets(plain) is plain


@pytest.mark.parametrize(
    "text",
    ["eyJ" * 300_000, "eyJaaaa." * 100_000, "ept_" * 250_000, "eyJ" + "a" * 900_000, ".eyJaaaa" * 100_000],
)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    began = time.process_time()
    without_secrets(text)

    assert time.process_time() - began < 1.0
