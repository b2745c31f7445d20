"""What is taken for a secret in text, and what that costs."""

from __future__ import annotations

import json
import time

import pytest

from entrepot.kernel.secret_forms import bytes_without_secrets, without_secrets

_RANDOM = "aB3_-" * 8 + "xyz"
_TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


@pytest.mark.parametrize("kind", ["ept_", "epr_", "ers_", "ess_"])
def test_every_secret_that_is_made_here_is_reduced_to_its_prefix_s27(kind: str) -> None:
    text = f"/a/{kind}{_RANDOM}/x{kind}{_RANDOM}?q={kind}{_RANDOM}"

    assert without_secrets(text) == f"/a/{kind}…/x{kind}…?q={kind}…"
    assert bytes_without_secrets(text.encode()).decode() == without_secrets(text)


def test_a_signed_token_is_masked_s27() -> None:
    assert without_secrets(f"/v2/{_TOKEN}/manifests/1") == "/v2/eyJ…/manifests/1"
    assert json.loads(bytes_without_secrets(json.dumps({"a": _TOKEN}).encode())) == {"a": "eyJ…"}


def test_what_is_no_secret_stays_the_object_that_it_is() -> None:
    for text in ("ept_short", "manifest sha256:" + "a" * 64, "kept_" + "a" * 20, "users_eyJ.a.b", "…"):
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
