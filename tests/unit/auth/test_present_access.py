"""What is left of a bearer token after changes: never more than it says, and never more than may be done now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.bearer.bearer_tokens import VerifiedToken
from entrepot.auth.bearer.present_access import PresentAccess
from entrepot.auth.errors import InvalidTokenError
from entrepot.auth.principals import ANONYMOUS, CredentialLimits, Origin, Principal, Sponsor
from entrepot.metadata.errors import MetadataUnavailableError
from tests.asgi.identity import ALICE, Clock, KnownPeople, KnownRights, SettableEpochs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.decisions import RepositoryStanding
    from entrepot.oci.names import RepositoryName

_PUSH = frozenset({"pull", "push", "create", "overwrite"})
_PULL = frozenset({"pull"})
_NOTHING = frozenset[str]()
_ISSUED = {"team/app": _PUSH, "team/lib": _PULL, "other/app": _PULL, "*": frozenset({"catalog"})}
_PEER = Principal(ANONYMOUS, "192.0.2.7", forwarded=True, origin=Origin("request-1"))


def _token(principal: Principal = ALICE, *, number: int = 1) -> VerifiedToken:
    return VerifiedToken(
        msgspec.structs.replace(principal, access=_ISSUED),
        {"team": 5, "other": 9},
        "key",
        2_000_000_000,
        f"token-{number}",
        700,
    )


@dataclass(slots=True)
class Scene:
    """Alice, her token, and what she may."""

    people: KnownPeople = field(default_factory=KnownPeople)
    rights: KnownRights = field(default_factory=KnownRights)
    epochs: SettableEpochs = field(default_factory=SettableEpochs)
    clock: Clock = field(default_factory=Clock)
    access: PresentAccess = field(init=False)

    def __post_init__(self) -> None:
        self.access = PresentAccess(self.people, self.rights, self.epochs, self.clock)
        self.allow("alice-id")

    def allow(self, subject: str, **by_name: frozenset[str]) -> None:
        """Let a subject do everything that the token says, but for `team_app` and the like."""
        for name, actions in _ISSUED.items():
            self.rights.actions[subject, name] = by_name.get(name.replace("/", "_"), actions)

    async def of(self, token: VerifiedToken | None = None) -> Mapping[str, frozenset[str]]:
        """Return what the token is good for."""
        return await self.access.of(token or _token(), _PEER)

    def asked(self) -> list[str]:
        """Return about which repositories was decided."""
        return [repository for _, repository in self.rights.asked]


@pytest.fixture
def scene() -> Scene:
    """Return alice, who may all that her token says."""
    return Scene()


async def test_as_long_as_nothing_moved_nothing_is_decided(scene: Scene) -> None:
    scene.epochs.projects["elsewhere"] = 1000

    assert await scene.of() == _ISSUED
    assert scene.asked() == []


async def test_a_right_that_is_left_stays_and_one_that_is_gone_goes_s14(scene: Scene) -> None:
    scene.allow("alice-id", team_app=_PULL, team_lib=_NOTHING)

    scene.epochs.projects["team"] = 6

    assert await scene.of() == {**_ISSUED, "team/app": _PULL, "team/lib": _NOTHING}


async def test_only_the_projects_that_moved_are_decided_about(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6

    await scene.of()

    assert scene.asked() == ["team/app", "team/lib"]


async def test_a_token_never_grows_s15(scene: Scene) -> None:
    everything = frozenset({"pull", "push", "delete", "create", "overwrite"})
    scene.allow("alice-id", team_app=everything, team_lib=everything)

    scene.epochs.projects["team"] = 6

    assert await scene.of() == _ISSUED


async def test_the_limits_of_an_access_token_are_those_of_its_bearer_tokens_too_s15(scene: Scene) -> None:
    """The token had `create` since who pushes might; that its person may as such does not help it."""
    limits = CredentialLimits("laptop", frozenset({"repository:pull", "repository:push"}))
    scene.people.subjects["alice-id", "laptop"] = msgspec.structs.replace(ALICE, limits=limits)
    token = _token(msgspec.structs.replace(ALICE, limits=CredentialLimits("laptop")))

    scene.epochs.projects["team"] = 6

    assert (await scene.of(token))["team/app"] == {"pull", "push"}


async def test_a_token_dies_with_the_access_token_it_was_issued_for_s14(scene: Scene) -> None:
    token = _token(msgspec.structs.replace(ALICE, limits=CredentialLimits("laptop")))

    scene.epochs.projects["team"] = 6

    with pytest.raises(InvalidTokenError):
        await scene.of(token)


async def test_a_token_dies_with_its_subject_whatever_else_moved_s14(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6
    assert await scene.of() == _ISSUED

    scene.epochs.subjects["alice-id"] = 4

    with pytest.raises(InvalidTokenError):
        await scene.of()


async def test_a_robots_token_dies_with_who_answers_for_it_whatever_else_moved_s9_s14(scene: Scene) -> None:
    sponsor = Sponsor("alice-id", 7)
    token = _token(Principal("robot-id", "", forwarded=False, kind="robot", sponsor=sponsor))
    scene.allow("robot-id")
    scene.epochs.projects["team"] = 6
    assert await scene.of(token) == _ISSUED

    scene.epochs.subjects["alice-id"] = 8

    with pytest.raises(InvalidTokenError):
        await scene.of(token)


async def test_the_subject_is_asked_about_without_what_the_token_says(scene: Scene) -> None:
    scene.epochs.projects["other"] = 10

    await scene.of()

    asker = msgspec.structs.replace(
        ALICE, address="192.0.2.7", forwarded=True, origin=Origin("request-1"), access=None
    )
    assert scene.rights.asked == [(asker, "other/app")]


async def test_nobodys_token_keeps_what_a_public_project_lets_everybody_do(scene: Scene) -> None:
    token = _token(Principal(ANONYMOUS, "", forwarded=False))
    scene.allow(ANONYMOUS, team_app=_PULL, team_lib=_NOTHING)

    scene.epochs.projects["team"] = 6

    assert await scene.of(token) == {**_ISSUED, "team/app": _PULL, "team/lib": _NOTHING}


async def test_what_was_decided_is_remembered_until_any_epoch_moves(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6
    await scene.of()
    await scene.of()
    assert scene.asked() == ["team/app", "team/lib"]
    scene.allow("alice-id", team_app=_NOTHING)

    scene.epochs.projects["team"] = 7

    assert (await scene.of())["team/app"] == _NOTHING


async def test_what_came_back_is_good_again_s14(scene: Scene) -> None:
    scene.allow("alice-id", team_app=_NOTHING)
    scene.epochs.projects["team"] = 6
    assert (await scene.of())["team/app"] == _NOTHING
    scene.allow("alice-id")

    scene.epochs.projects["team"] = 7

    assert await scene.of() == _ISSUED


async def test_what_was_decided_is_decided_anew_after_thirty_seconds(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6
    await scene.of()
    scene.allow("alice-id", team_app=_NOTHING)

    scene.clock.seconds += 29
    before = (await scene.of())["team/app"]
    scene.clock.seconds += 1

    assert (before, (await scene.of())["team/app"]) == (_PUSH, _NOTHING)


async def test_each_token_is_remembered_by_itself(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6
    await scene.of()
    bob = msgspec.structs.replace(ALICE, subject="bob-id")

    assert (await scene.of(_token(bob, number=2)))["team/app"] == _NOTHING


async def test_what_moves_while_it_is_decided_is_not_remembered_s14(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6

    class Moving(KnownRights):
        async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
            answer = await scene.rights.on_repository(principal, repository)
            scene.epochs.projects["team"] = 7
            return answer

    access = PresentAccess(scene.people, Moving(), scene.epochs)
    await access.of(_token(), _PEER)
    scene.allow("alice-id", team_app=_NOTHING)

    assert (await access.of(_token(), _PEER))["team/app"] == _NOTHING


async def test_a_database_that_does_not_answer_allows_nothing_i6(scene: Scene) -> None:
    scene.epochs.projects["team"] = 6

    class Away(KnownRights):
        async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
            raise MetadataUnavailableError("away")

    with pytest.raises(MetadataUnavailableError):
        await PresentAccess(scene.people, Away(), scene.epochs).of(_token(), _PEER)


async def test_a_token_that_was_not_seen_before_is_compared_with_the_database_once_f27(scene: Scene) -> None:
    token = _token()

    assert await scene.of(token) == _ISSUED
    assert await scene.of(token) == _ISSUED
    assert scene.epochs.asked == 1

    assert await scene.of(_token()) == _ISSUED  # verified anew, since it had been forgotten
    assert scene.epochs.asked == 2


async def test_of_tokens_that_were_met_only_so_many_are_remembered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones met go first, and are compared once more."""
    monkeypatch.setattr("entrepot.auth.bearer.present_access._MOST_REMEMBERED", 2)
    first, second, third = (_token(number=number) for number in (1, 2, 3))
    for token in (first, second, third, second, third):
        await scene.of(token)
    assert scene.epochs.asked == 3

    await scene.of(first)

    assert (scene.epochs.asked, len(scene.access._met)) == (4, 2)


@pytest.mark.parametrize(
    ("name", "epoch", "cause"),
    [
        ("alice-id", 4, "whom it speaks for has changed"),
        ("bob-id", 8, "the person who answers for this robot"),
        ("team", 6, "the rights in its project changed long before"),
    ],
)
async def test_a_token_of_a_time_that_has_yet_to_come_does_not_outlive_what_changed_f27(
    scene: Scene, name: str, epoch: int, cause: str
) -> None:
    """It was issued while the clock was ahead; by when it begins, who watches the epochs knows of no move any more."""
    scene.epochs.forgotten[name] = epoch
    token = _token(msgspec.structs.replace(ALICE, sponsor=Sponsor("bob-id", 7)))

    for _ in range(2):
        with pytest.raises(InvalidTokenError) as refusal:
            await scene.of(token)
        assert cause in refusal.value.cause

    scene.epochs.forgotten[name] = epoch - 1
    assert await scene.of(token) == _ISSUED


async def test_nor_does_it_outlive_its_subject_f27(scene: Scene) -> None:
    scene.epochs.gone.add("alice-id")

    with pytest.raises(InvalidTokenError) as refusal:
        await scene.of()

    assert refusal.value.cause == "whom it speaks for has changed"


async def test_nobody_and_operators_of_the_host_are_not_asked_about_f27(scene: Scene) -> None:
    scene.epochs.gone |= {"", ANONYMOUS}
    anyone = Principal(ANONYMOUS, "", forwarded=False)

    assert await scene.of(_token(anyone)) == _ISSUED
    assert await scene.of(_token(msgspec.structs.replace(ALICE, sponsor=Sponsor("", 0)))) == _ISSUED
