"""Bearer tokens: what we signed is taken until it ends, everything else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from entrepot.auth.bearer import bearer_tokens
from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.errors import InvalidTokenError
from entrepot.auth.keys.key_pairs import SigningKey
from entrepot.auth.principals import ANONYMOUS, BY_THE_HOST, CredentialLimits, Principal, Sponsor
from entrepot.metadata.errors import MetadataUnavailableError
from tests.asgi.identity import ALICE, ISSUER, SERVICE, Clock, ring_of

if TYPE_CHECKING:
    from entrepot.auth.keys.key_ring import KeyRing

ACCESS = {"team/app": frozenset({"pull", "push", "create"}), "*": frozenset({"catalog"})}
EPOCHS = {"team": 5}


@pytest.fixture
def clock() -> Clock:
    """Return the clock of everybody."""
    return Clock()


@pytest.fixture
def key() -> SigningKey:
    """Return the key that signs."""
    return SigningKey.generate()


@pytest.fixture
def ring(clock: Clock, key: SigningKey) -> KeyRing:
    """Return a ring with it."""
    return ring_of(clock, key)


@pytest.fixture
def tokens(ring: KeyRing) -> BearerTokens:
    """Return what issues and verifies."""
    return BearerTokens(ring, ISSUER, SERVICE, 300)


def _part(token: str, place: int) -> dict[str, Any]:
    text = token.split(".")[place]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def _encode(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signed(key: SigningKey, claims: dict[str, Any], **header: Any) -> str:
    """Sign whatever claims with the real key, with further members in the header."""
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    protected = {"typ": "JWT", "alg": "ES256", "kid": key.key_id, **header}
    return jws.serialize_compact(
        protected, json.dumps(claims), ECKey.import_key(key.reveal_pem()), registry=registry
    )


def _claims(tokens: BearerTokens, **changed: Any) -> dict[str, Any]:
    claims = _part(tokens.issue(ALICE, ACCESS, EPOCHS).token, 1) | changed
    return {name: value for name, value in claims.items() if value is not None}


def test_a_token_says_whom_it_speaks_for_and_what_it_is_good_for_t11(tokens: BearerTokens) -> None:
    verified = tokens.verify(tokens.issue(ALICE, ACCESS, EPOCHS).token)

    assert verified.principal == msgspec.structs.replace(ALICE, access=ACCESS)
    assert verified.project_epochs == {"team": 5}
    assert verified.expires_at == 1_800_000_360


def test_header_and_claims_are_those_of_distribution_t11(tokens: BearerTokens, key: SigningKey) -> None:
    issued = tokens.issue(ALICE, ACCESS, EPOCHS)

    assert _part(issued.token, 0) == {"typ": "JWT", "alg": "ES256", "kid": key.key_id}
    assert _part(issued.token, 1) == {
        "iss": "entrepot",
        "sub": "alice-id",
        "aud": "registry.example",
        "exp": 1_800_000_360,
        "nbf": 1_800_000_000,
        "iat": 1_800_000_000,
        "jti": issued.token_id,
        "access": [
            {"type": "repository", "name": "team/app", "actions": ["pull", "push", "create"]},
            {"type": "registry", "name": "catalog", "actions": ["*"]},
        ],
        "epochs": {"subject": 3, "projects": {"team": 5}},
        "kind": "user",
        "name": "alice",
        "cred": "",
    }


def test_an_anonymous_token_has_an_empty_subject_t11(tokens: BearerTokens) -> None:
    issued = tokens.issue(Principal(ANONYMOUS, "", forwarded=False), {}, {})

    assert _part(issued.token, 1)["sub"] == ""
    principal = tokens.verify(issued.token).principal
    assert (principal.subject, principal.kind, principal.access) == ("anonymous", "anonymous", {})


def test_the_credential_behind_a_token_is_remembered_s15(tokens: BearerTokens) -> None:
    limited = msgspec.structs.replace(
        ALICE, limits=CredentialLimits("token-7", frozenset({"repository:pull"}))
    )

    principal = tokens.verify(tokens.issue(limited, {}, {}).token).principal

    assert principal.limits == CredentialLimits("token-7")


_ROBOT = Principal("robot-id", "", forwarded=False, name="robot$ci", kind="robot", epoch=3)


@pytest.mark.parametrize(
    ("sponsor", "access", "claimed"),
    [
        (Sponsor("alice-id", 7), ACCESS, {"sponsor": "alice-id", "sponsor_epoch": 7}),
        (Sponsor("alice-id", 0), {}, {"sponsor": "alice-id"}),
        (BY_THE_HOST, ACCESS, {"sponsor": ""}),
        (BY_THE_HOST, {}, {"sponsor": ""}),
        (None, {}, {}),
    ],
)
def test_a_token_says_who_answers_for_a_robot_whatever_it_grants_s9(
    tokens: BearerTokens,
    sponsor: Sponsor | None,
    access: dict[str, frozenset[str]],
    claimed: dict[str, str | int],
) -> None:
    robot = msgspec.structs.replace(_ROBOT, sponsor=sponsor)

    token = tokens.issue(robot, access, {}).token

    assert _part(token, 1)["epochs"] == {"subject": 3, "projects": {}, **claimed}
    assert tokens.verify(token).principal == msgspec.structs.replace(robot, access=access)


def test_a_token_that_grants_a_robot_something_says_who_answers_for_it_s9(
    tokens: BearerTokens, key: SigningKey
) -> None:
    """As the tokens of robots of the host did not, once; whoever holds one is told to fetch another."""
    token = _signed(key, _claims(tokens, kind="robot", sub="robot-id", name="robot$ci"))

    with pytest.raises(InvalidTokenError) as caught:
        tokens.verify(token)
    assert caught.value.cause == "it does not say who answers for the robot"


@pytest.mark.parametrize(("asked", "given"), [(1, 60), (59, 60), (60, 60), (300, 300)])
def test_no_token_is_shorter_than_a_minute_t8(ring: KeyRing, asked: int, given: int) -> None:
    assert BearerTokens(ring, ISSUER, SERVICE, asked).issue(ALICE, {}, {}).expires_in == given


def test_a_token_outlives_by_a_minute_what_a_client_with_a_slow_clock_is_told_t8_t11(
    tokens: BearerTokens, clock: Clock, ring: KeyRing, key: SigningKey
) -> None:
    issued = tokens.issue(ALICE, ACCESS, EPOCHS)
    assert issued.expires_in == 300
    for _ in range(6):
        clock.seconds += 59.9
        ring.install(key, {key.key_id: key.public}, clock.seconds)
    assert tokens.verify(issued.token).principal.subject == "alice-id"

    clock.seconds += 0.6
    with pytest.raises(InvalidTokenError) as caught:
        tokens.verify(issued.token)
    assert caught.value.cause == "it has expired"


def test_nodes_whose_clocks_are_apart_agree_f27(tokens: BearerTokens, clock: Clock, key: SigningKey) -> None:
    """Only the database's clock counts: a node that started an hour ago by its own takes the token all the same."""
    elsewhere = Clock(17.0)
    ring = ring_of(elsewhere, key)
    ring.install(key, {key.key_id: key.public}, clock.seconds)

    verified = BearerTokens(ring, ISSUER, SERVICE, 300).verify(tokens.issue(ALICE, {}, {}).token)

    assert verified.principal.subject == "alice-id"


@pytest.mark.parametrize(("ahead", "is_taken"), [(0, True), (60, True), (61, False), (3600, False)])
def test_a_token_may_begin_a_minute_ahead_t11(
    tokens: BearerTokens,
    key: SigningKey,
    ahead: int,
    is_taken: bool,
) -> None:
    token = _signed(key, _claims(tokens, nbf=1_800_000_000 + ahead, exp=1_900_000_000))

    if is_taken:
        assert tokens.verify(token).principal.name == "alice"
    else:
        with pytest.raises(InvalidTokenError):
            tokens.verify(token)


def test_a_signed_token_of_ours_is_taken_so_that_the_following_tests_mean_something(
    tokens: BearerTokens, key: SigningKey
) -> None:
    assert tokens.verify(_signed(key, _claims(tokens))).principal.name == "alice"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "another"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["registry.example"]},
        {"aud": None},
        {"exp": None},
        {"exp": 1_799_999_999},
        {"exp": "1900000000"},
        {"exp": 1e400},
        {"nbf": None},
        {"iat": 1_800_003_600},
        {"sub": None},
        {"sub": ""},
        {"sub": "anonymous"},
        {"kind": "anonymous"},
        {"kind": "host"},
        {"kind": None},
        {"jti": None},
        {"access": None},
        {"access": {"team/app": ["pull"]}},
        {"access": [{"type": "repository", "name": "team/app"}]},
        {"epochs": None},
        {"epochs": {"subject": "0", "projects": {}}},
        {"surprise": True},
    ],
)
def test_claims_that_are_not_ours_are_refused_s16(
    tokens: BearerTokens, key: SigningKey, changed: dict[str, Any]
) -> None:
    with pytest.raises(InvalidTokenError):
        tokens.verify(_signed(key, _claims(tokens, **changed)))


_FOREIGN = SigningKey.generate()


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": _FOREIGN.public.as_jwk()},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"b64": False, "crit": ["b64"]},
        {"typ": "at+jwt"},
        {"typ": "jwt"},
        {"cty": "JWT"},
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": ""},
        {"kid": "0" * 32},
        {"kid": "x" * 8000},
    ],
)
def test_a_header_that_is_not_ours_is_refused_s16(
    tokens: BearerTokens, key: SigningKey, header: dict[str, Any]
) -> None:
    """Signed with the real key, so that only the header can be what is wrong."""
    signing_input = (
        f"{_encode({'typ': 'JWT', 'alg': 'ES256', 'kid': key.key_id, **header})}.{_encode(_claims(tokens))}"
    )

    with pytest.raises(InvalidTokenError):
        tokens.verify(f"{signing_input}.{_raw_signature(key, signing_input)}")


def _raw_signature(key: SigningKey, signing_input: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(key.sign(signing_input.encode()))
    return base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()


def test_the_way_these_are_signed_is_right(tokens: BearerTokens, key: SigningKey) -> None:
    signing_input = f"{_encode({'typ': 'JWT', 'alg': 'ES256', 'kid': key.key_id})}.{_encode(_claims(tokens))}"

    assert tokens.verify(f"{signing_input}.{_raw_signature(key, signing_input)}").principal.name == "alice"


def test_a_key_that_comes_with_the_token_is_no_key_s16(tokens: BearerTokens) -> None:
    """CVE-2025-24976, CVE-2026-27962."""
    for header in ({"jwk": _FOREIGN.public.as_jwk()}, {}):
        with pytest.raises(InvalidTokenError):
            tokens.verify(_signed(_FOREIGN, _claims(tokens), **header))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "ES384", "RS256", "HS256", "", None, 5])
def test_no_other_algorithm_is_taken_s16(tokens: BearerTokens, key: SigningKey, algorithm: object) -> None:
    head = _encode({"typ": "JWT", "alg": algorithm, "kid": key.key_id})
    payload = _encode(_claims(tokens))
    for signature in ("", _raw_signature(key, f"{head}.{payload}")):
        with pytest.raises(InvalidTokenError):
            tokens.verify(f"{head}.{payload}.{signature}")


def test_hs256_over_the_public_key_is_refused_s16(tokens: BearerTokens, key: SigningKey) -> None:
    signing_input = f"{_encode({'typ': 'JWT', 'alg': 'HS256', 'kid': key.key_id})}.{_encode(_claims(tokens))}"
    for secret in (key.public.encoded, json.dumps(key.public.as_jwk()).encode()):
        mac = hmac.digest(secret, signing_input.encode(), hashlib.sha256)
        signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        with pytest.raises(InvalidTokenError):
            tokens.verify(f"{signing_input}.{signature}")


def test_a_changed_claim_breaks_the_signature_s16(tokens: BearerTokens) -> None:
    head, _, signature = tokens.issue(ALICE, {}, {}).token.split(".")
    payload = _encode(_claims(tokens))

    with pytest.raises(InvalidTokenError):
        tokens.verify(f"{head}.{payload}.{signature}")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            "...",
            "a.b",
            "a.b.c",
            "a.b.c.d",
            "é.é.é",
            "\x00.\x00.\x00",
            "\ud800.a.b",
            "A" * 30_000,
        ),
        base64.urlsafe_b64encode(b'{"kid":' + b"[" * 9_000).decode() + ".a.b",
        base64.urlsafe_b64encode(b'{"more":' + b"[" * 9_000).decode() + ".a.b",
    ],
)
def test_what_is_no_token_is_refused_s16(tokens: BearerTokens, text: str) -> None:
    with pytest.raises(InvalidTokenError):
        tokens.verify(text)


def test_a_token_is_verified_once_and_remembered(
    tokens: BearerTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.issue(ALICE, ACCESS, EPOCHS).token
    first = tokens.verify(token)
    monkeypatch.setattr(jws, "deserialize_compact", None)

    assert tokens.verify(token) is first


def test_what_is_remembered_dies_with_its_key_t13(tokens: BearerTokens, ring: KeyRing, clock: Clock) -> None:
    token = tokens.issue(ALICE, ACCESS, EPOCHS).token
    tokens.verify(token)
    other = SigningKey.generate()

    ring.install(other, {other.key_id: other.public}, clock.seconds)

    with pytest.raises(InvalidTokenError):
        tokens.verify(token)
    assert tokens.verify(tokens.issue(ALICE, {}, {}).token).key_id == other.key_id


def test_a_token_outlives_the_rotation_of_its_key_t13(
    tokens: BearerTokens, ring: KeyRing, clock: Clock, key: SigningKey
) -> None:
    """A push that spans a rotation and a restart: the new process has never seen the token."""
    token = tokens.issue(ALICE, ACCESS, EPOCHS).token
    following = SigningKey.generate()

    ring.install(following, {one.key_id: one.public for one in (key, following)}, clock.seconds)
    restarted = BearerTokens(ring, ISSUER, SERVICE, 300)

    assert restarted.verify(token).principal.name == "alice"
    assert _part(restarted.issue(ALICE, {}, {}).token, 0)["kid"] == following.key_id


def test_memory_for_tokens_is_bounded_i12(tokens: BearerTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer_tokens, "_MOST_REMEMBERED", 3)
    for _ in range(10):
        tokens.verify(tokens.issue(ALICE, {}, {}).token)

    assert len(tokens._remembered) == 3


def test_long_tokens_take_no_more_of_it_i12(tokens: BearerTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer_tokens, "_MOST_REMEMBERED_CHARACTERS", 30_000)
    wide = {f"team/{'x' * 60}-{number}": frozenset({"pull"}) for number in range(50)}
    texts = [tokens.issue(ALICE, access, EPOCHS).token for access in (ACCESS, wide, wide, wide, wide, ACCESS)]
    for text in texts:
        tokens.verify(text)
    held = [one.characters for one in tokens._remembered.values()]
    assert held == [len(text) for text in texts[-len(held) :]]
    assert sum(held) == tokens._remembered_characters <= 30_000 < sum(held) + len(texts[1])


def test_refused_tokens_take_no_memory_i12(tokens: BearerTokens) -> None:
    for number in range(10):
        with pytest.raises(InvalidTokenError):
            tokens.verify(f"a.b.{number}")

    assert len(tokens._remembered) == 0


def test_nothing_is_vouched_for_when_the_keys_are_not_known_i6(tokens: BearerTokens, clock: Clock) -> None:
    token = tokens.issue(ALICE, ACCESS, EPOCHS).token
    tokens.verify(token)

    clock.seconds += 61

    with pytest.raises(MetadataUnavailableError):
        tokens.verify(token)


def test_a_clock_that_is_set_back_has_remembered_tokens_looked_at_anew_f27(
    tokens: BearerTokens, ring: KeyRing, clock: Clock, key: SigningKey
) -> None:
    """One was issued while it was ahead: it begins in the future now, and is another object when that has come."""
    token = tokens.issue(ALICE, ACCESS, EPOCHS).token
    first = tokens.verify(token)
    assert tokens.verify(token) is first
    keys = {key.key_id: key.public}

    ring.install(key, keys, clock.seconds - 3 * 3600)
    with pytest.raises(InvalidTokenError) as refusal:
        tokens.verify(token)
    assert refusal.value.cause == "it begins in the future"
    assert len(tokens._remembered) == 0

    clock.seconds += 3 * 3600
    ring.install(key, keys, clock.seconds - 3 * 3600)
    second = tokens.verify(token)
    assert (second, second is first) == (first, False)


def test_a_clock_that_is_put_forward_lets_tokens_be_remembered_f27(
    tokens: BearerTokens, ring: KeyRing, clock: Clock, key: SigningKey
) -> None:
    token = tokens.issue(ALICE, ACCESS, EPOCHS).token
    first = tokens.verify(token)

    ring.install(key, {key.key_id: key.public}, clock.seconds + 200)

    assert tokens.verify(token) is first
