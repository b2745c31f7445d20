"""What people and robots may do is what their clients can do, and a refusal says what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.blackbox.clients.program import ClientFailedError
from tests.blackbox.clients.request_log import watch_requests
from tests.blackbox.clients.signed_in import OrasAs, SkopeoAs, refused
from tests.blackbox.material.images import digest_of
from tests.running.control_client import Account
from tests.running.with_accounts import ADMINISTRATOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.blackbox.accounts.conftest import SignIn, Team

pytestmark = pytest.mark.real_client

_EVERY_CLIENT: Final = ("skopeo", "podman", "buildah", "oras", "docker", "ctr", "cosign")
_EVERY_WAY: Final = ("skopeo", "oras", "docker", "ctr", "cosign")
"""One of each implementation: podman and buildah speak to registries by skopeo's own library."""


def each(*names: str) -> pytest.MarkDecorator:
    """Run a test with each of these programs, or with one of each implementation."""
    return pytest.mark.parametrize("sign_in", names or _EVERY_WAY, indirect=True)


@each(*_EVERY_CLIENT)
def test_a_developer_pushes_to_a_repository_that_exists_and_a_guest_pulls_it(
    sign_in: SignIn, team: Team
) -> None:
    """The push adds exactly one tag."""
    sign_in(team.people["developer"]).push(team.repository, "pushed")

    assert len(team.tags()) == 2
    sign_in(team.people["guest"]).pull(team.repository, "pushed")


@each()
def test_a_guest_pushes_nothing(sign_in: SignIn, team: Team) -> None:
    guest = sign_in(team.people["guest"])

    refused(lambda: guest.push(team.repository, "pushed"))

    assert team.tags() == ["1"]


@each("skopeo", "podman", "oras", "docker")
def test_a_developer_learns_whom_to_ask_for_a_new_repository(sign_in: SignIn, team: Team) -> None:
    """What they read names the repository, who can make it and how the rule is changed; nothing was made."""
    developer = sign_in(team.people["developer"])

    said = refused(lambda: developer.push(f"{team.name}/new", "1"))

    assert f"repository {team.name}/new does not exist" in said
    assert (
        "ask an administrator of the project or of the registry to create it "
        f"(entrepot repository create {team.name}/new)" in said
    )
    assert "repository_creation=developers" in said
    assert not team.has(f"{team.name}/new")


@each("skopeo", "podman", "buildah", "oras", "docker", "cosign")
def test_an_administrator_reads_that_the_project_is_to_be_made_first(sign_in: SignIn, team: Team) -> None:
    """Not a refusal, which docker would show without its text."""
    assert team.tags() == ["1"]
    with pytest.raises(ClientFailedError) as caught:
        sign_in(ADMINISTRATOR).push("nope/app", "1")

    said = "project nope does not exist; create it first (entrepot project create nope)"
    assert said in str(caught.value).partition("--- standard error\n")[2]


@each("skopeo", "docker")
def test_s19_an_outsider_reads_the_same_of_a_missing_project_as_of_another_one(
    sign_in: SignIn, team: Team
) -> None:
    outsider = sign_in(team.people["outsider"])

    missing = refused(lambda: outsider.push("nope/app", "1"))
    foreign = refused(lambda: outsider.push(team.repository, "1"))

    assert "project nope" not in missing
    assert f"project {team.name}" not in foreign


@each("ctr")
def test_a_developer_creates_no_repository_with_a_client_that_shows_no_texts(
    sign_in: SignIn, team: Team
) -> None:
    developer = sign_in(team.people["developer"])

    assert "403" in refused(lambda: developer.push(f"{team.name}/new", "1"))
    assert not team.has(f"{team.name}/new")


@each("skopeo", "docker", "ctr")
def test_a_developer_creates_a_repository_where_the_project_says_so(
    sign_in: SignIn, make_team: Callable[..., Team]
) -> None:
    team = make_team(repository_creation="developers")

    sign_in(team.people["developer"]).push(f"{team.name}/new", "1")

    assert team.has(f"{team.name}/new")


@each()
def test_a_wrong_password_is_refused_at_login_or_at_the_first_request(sign_in: SignIn, team: Team) -> None:
    """Ctr and cosign check nothing when they are told a password; the others do."""
    wrong = Account(team.people["developer"].name, "Wrong-Meadow-29")

    refused(lambda: sign_in(wrong).pull(team.repository, "1"))


@each()
def test_an_outsider_and_nobody_get_nothing_of_a_private_project(sign_in: SignIn, team: Team) -> None:
    """S2, S19."""
    sign_in(team.people["developer"]).push(team.repository, "pushed")

    for account in (team.people["outsider"], None):
        client = sign_in(account)
        refused(lambda client=client: client.pull(team.repository, "pushed"))  # type: ignore[misc]  # a default


@each()
def test_everybody_pulls_from_a_public_project_and_nobody_pushes_to_it_unknown(
    sign_in: SignIn, make_team: Callable[..., Team]
) -> None:
    team = make_team(public="true")
    sign_in(team.people["developer"]).push(team.repository, "pushed")
    tags = team.tags()
    nobody = sign_in(None)

    nobody.pull(team.repository, "pushed")
    refused(lambda: nobody.push(team.repository, "more"))

    assert team.tags() == tags


@each()
def test_a_robot_pushes_and_pulls_in_its_project_and_nowhere_else(
    sign_in: SignIn, make_team: Callable[..., Team]
) -> None:
    team, other = make_team(), make_team()
    robot = team.control.create_robot(
        team.name,
        "ci",
        ["repository:pull", "repository:push", "artifact:create", "tag:create", "tag:overwrite"],
    )
    client = sign_in(robot)

    client.push(team.repository, "pushed")
    client.pull(team.repository, "pushed")
    refused(lambda: client.push(other.repository, "pushed"))

    assert (len(team.tags()), other.tags()) == (2, ["1"])


@each("skopeo", "oras")
def test_a_team_lead_deletes_and_a_developer_does_not(sign_in: SignIn, team: Team) -> None:
    developer, lead = sign_in(team.people["developer"]), sign_in(team.people["team-lead"])
    assert isinstance(developer, SkopeoAs | OrasAs)
    assert isinstance(lead, SkopeoAs | OrasAs)
    developer.push(team.repository, "pushed")

    refused(lambda: developer.delete(team.repository, "pushed"))
    assert team.tags() == ["1", "pushed"]
    lead.delete(team.repository, "pushed")

    assert team.tags() == ["1"]


@each("skopeo", "docker", "ctr")
def test_s15_an_access_token_for_pulling_pushes_nothing(sign_in: SignIn, team: Team) -> None:
    """It is presented as the password of the developer, who may push."""
    developer = team.control.acting_as(team.people["developer"])
    token = developer.create_access_token(f"pull-{team.name}", permissions=["repository:pull"])
    client = sign_in(token)

    client.pull(team.repository, "1")
    refused(lambda: client.push(team.repository, "pushed"))

    assert team.tags() == ["1"]


@each("skopeo", "docker", "ctr")
def test_s14_a_member_who_was_removed_is_refused_within_a_minute(
    sign_in: SignIn, make_team: Callable[..., Team]
) -> None:
    """A new token is refused at once on the node that was told: this is the only one."""
    team = make_team()
    found: list[dict[str, Any]] = team.control.get(f"/projects/{team.name}/members?page_size=100")
    (member,) = [entry for entry in found if entry["entity_name"] == team.people["guest"].name]
    guest = sign_in(team.people["guest"])
    guest.pull(team.repository, "1")

    team.control.remove_member(team.name, member["id"])

    refused(lambda: guest.pull(team.repository, "1"))


@pytest.fixture
def two_teams(make_team: Callable[..., Team]) -> tuple[Team, Team]:
    """Make two projects in which everybody has the same role."""
    return make_team(), make_team()


def test_a_copy_between_two_projects_mounts_layers(
    skopeo_as: Callable[[Account | None], SkopeoAs], two_teams: tuple[Team, Team]
) -> None:
    """A token for both repositories is asked for; no byte of a layer travels (T12)."""
    source, target = two_teams
    developer = skopeo_as(source.people["developer"])
    developer.push(source.repository, "many")

    with watch_requests(target.registry, target.repository) as seen:
        developer.copy(f"{source.repository}:many", f"{target.repository}:many")

    assert target.tags() == ["1", "many"]
    # The target has all of the image for amd64. Of the one for arm64 it lacks one layer, which is mounted, and the
    # configuration, which skopeo sends whatever the registry has.
    assert sorted(seen.begun_uploads) == [201, 202]


def test_s6_a_mount_from_a_project_one_may_not_pull_from_begins_an_upload(
    two_teams: tuple[Team, Team],
) -> None:
    """202 and nothing mounted, whether or not the other repository has the blob: the answer tells nothing."""
    source, target = two_teams
    robot = target.control.create_robot(target.name, "ci", ["repository:pull", "repository:push"])
    there, missing = source.http.push_blob(b"only in the source"), digest_of(b"nowhere")

    for digest in (there, missing):
        response = target.http.client.post(
            f"/v2/{target.repository}/blobs/uploads/",
            params={"mount": digest, "from": source.repository},
            auth=(robot.name, robot.secret),
        )
        assert response.status_code == 202, response.text

    assert source.http.has_blob(there)
    assert not target.http.has_blob(there)
