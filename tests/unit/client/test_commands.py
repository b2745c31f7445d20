"""Each command: what it asks of the registry, and what it says."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.client.requests_of_commands import CHANGES, PULL, READS
from tests.unit.client.scripted_api import refusal

if TYPE_CHECKING:
    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi


@pytest.fixture(autouse=True)
def _registry(client: Client, api: ScriptedApi) -> None:
    """A registry with one of everything, to which somebody is logged in."""
    client.log_in(api)
    api.on("GET /users/current", {"user_id": 7, "username": "alice", "sysadmin_flag": True})
    api.on("GET /users", [{"user_id": 9, "username": "bobby"}, {"user_id": 8, "username": "bob"}])
    api.on("GET /usergroups", [{"id": 30, "group_name": "teams"}, {"id": 31, "group_name": "team"}])
    api.on("GET /projects/team", {"project_id": 5, "name": "team", "metadata": {"public": "true"}})
    member = {"id": 41, "entity_name": "bob", "entity_type": "g", "role_name": "maintainer", "role_id": 4}
    api.on("GET /projects/team/members", [member, {**member, "id": 42, "entity_type": "u"}])
    api.on("GET /robots", [{"id": 51, "name": "robot$ci", "expires_at": -1, "permissions": []}])
    api.on("GET /labels", [{"id": 61, "name": "old", "color": "#FFFFFF", "scope": "g", "description": "d"}])
    mover = {"id": 1000, "name": "mover", "permissions": {"project": ["log:list"], "system": []}}
    api.on("GET /roles", [mover])
    api.on("GET /role-assignments", [{"id": 71, "subject_id": 8, "role": "auditor"}])
    api.on("GET /access-tokens", [{"id": "t1", "name": "t2"}, {"id": "t2", "name": "ci"}])
    api.on("GET /users/8/access-tokens", [{"id": "t3", "name": "lap"}])
    session = {"id": "s1", "username": "bob", "address": "::1", "user_agent": "Firefox"}
    times = {"creation_time": "2026-11-27T10:00:00Z", "last_use_time": "2026-11-27T10:05:00Z"}
    api.on("GET /sessions", [session | times])
    counts = {"artifact_count": 2, "pull_count": 0}
    repository = {"name": "team/app", "update_time": "2026-11-27T10:00:00Z", **counts}
    api.on("GET /projects/team/repositories", [repository])


@pytest.mark.parametrize(("command", "request_line", "document"), CHANGES)
def test_a_change_asks_for_exactly_this(
    client: Client, api: ScriptedApi, command: str, request_line: str, document: Any
) -> None:
    api.on(request_line)

    result = client.run(*command.split(), stdin="line one\nline two\n")

    assert (result.code, result.out) == (0, "")
    assert api.lines()[-1] == request_line
    assert api.document_of(request_line) == document
    assert len(result.err.splitlines()) == 1


def test_a_reset_says_how_much_ended_with_the_old_password_s14(client: Client, api: ScriptedApi) -> None:
    api.on("PUT /users/8/password", {"access_tokens": 2, "refresh_tokens": 1, "sessions": 3})

    result = client.run("user", "reset-password", "bob", "--password-stdin", stdin="line one\n")

    assert result.err == "Gave bob a password. Deleted: 2 access tokens, 3 sessions, 1 refresh tokens.\n"


@pytest.mark.parametrize("command", [line for line, _, _ in CHANGES if line.endswith(("--yes", "-y"))])
def test_what_is_gone_for_good_needs_a_yes_where_nobody_can_be_asked(
    client: Client, api: ScriptedApi, command: str
) -> None:
    result = client.run(*command.removesuffix("--yes").removesuffix("-y").split())

    assert result.code == 2
    assert "--yes" in result.err
    assert api.asked == []


def test_a_forgotten_project_is_seen_in_what_the_command_says(client: Client, api: ScriptedApi) -> None:
    api.on("DELETE /projects/library/repositories/_%252Fapp")
    api.on("DELETE /projects/library/repositories/app")

    said = [client.run("repository", "delete", name, "--yes").err for name in ("app", "library/app")]

    assert said == ["Deleted repository app of project library.\n", "Deleted repository library/app.\n"]


@pytest.mark.parametrize(("command", "request_line", "query"), READS)
def test_a_listing_asks_for_exactly_this(
    client: Client, api: ScriptedApi, command: str, request_line: str, query: dict[str, str]
) -> None:
    api.on(request_line, [])

    result = client.run(*command.split(), "-o", "json", stdin="password\n")

    assert (result.code, json.loads(result.out), result.err) == (0, [], "")
    assert api.lines()[-1] == request_line
    size = "50" if command.startswith("audit") else "100"
    assert api.asked[-1].query == {**query, "page": "1", "page_size": size}


@pytest.mark.parametrize(
    ("command", "table"),
    [
        ("project show team -o name", "team\n"),
        ("user show bob -o name", "bob\n"),
        ("robot show ci -o name", "robot$ci\n"),
        ("role show mover -o name", "mover\n"),
        (
            "member list team",
            "NAME  KIND   ROLE       ID\nbob   group  team-lead  41\nbob   user   team-lead  42\n",
        ),
        ("session list --all -o name", "s1\n"),
        (
            "repository list team",
            "NAME      ARTIFACTS  CHANGED\nteam/app  2          2026-11-27 10:00:00+00:00\n",
        ),
        (
            "session list",
            (
                "ID  USER  ADDRESS  BEGAN                      LAST USED                  BROWSER\n"
                "s1  bob   ::1      2026-11-27 10:00:00+00:00  2026-11-27 10:05:00+00:00  Firefox\n"
            ),
        ),
        (
            "role show mover",
            "NAME         mover\nGIVEN ON\nBUILT IN\nDESCRIPTION\nID           1000\nMAY          log:list\n",
        ),
    ],
)
def test_one_thing_is_shown(client: Client, command: str, table: str) -> None:
    result = client.run(*command.split())

    assert (result.code, result.out) == (0, table)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"addresses": 0}, "bob was not locked out: no wrong passwords are counted.\n"),
        ({"addresses": 1}, "Unlocked bob; wrong passwords had come from 1 address.\n"),
        ({"addresses": 2}, "Unlocked bob; wrong passwords had come from 2 addresses.\n"),
        (None, "Unlocked bob.\n"),
    ],
)
def test_unlocking_says_whether_there_was_anything_to_unlock(
    client: Client, api: ScriptedApi, answer: dict[str, int] | None, said: str
) -> None:
    """A registry before this version says nothing."""
    api.on("POST /users/8/unlock", answer)

    assert client.run("user", "unlock", "bob").err == said


def test_who_is_in_no_group_is_told_by_their_name(client: Client, api: ScriptedApi) -> None:
    api.on("DELETE /usergroups/31/members/8", refusal(404, "group 31 has no member 8"))

    result = client.run("group", "remove", "team", "bob", "--yes")

    assert result.code == 4
    assert result.err == "entrepot: bob is not in team\nWho is, shows: entrepot group members team\n"


@pytest.mark.parametrize(
    "command",
    [
        "user show carol",
        "user show a,b",
        "user show ~bob",
        "project show team/app",
        "session end a/b --yes",
        "group members crew",
        "member remove team carol --yes",
        "robot show cd",
        "label delete none --yes",
        "role show none",
        "role revoke bob guest --yes",
        "token delete none --yes --password-stdin",
        "token delete ci --user bob --yes",
        "token list --user carol",
        "project show nowhere",
    ],
)
def test_what_is_not_there_ends_with_4(client: Client, command: str) -> None:
    result = client.run(*command.split(), stdin="password\n")

    assert result.code == 4
    assert "there is no" in result.err


@pytest.mark.parametrize(
    "command",
    [
        "project create",
        "project create new --set public",
        "project set team",
        "member add team bob",
        "member add team bob --role none",
        "user create eve",
        "user create eve --password secret",
        "robot create cd --allow repository:pull",
        "robot create cd --project team --allow team=repository:pull",
        "robot create cd --allow team=pull",
        "robot create cd --allow =repository:pull",
        "robot update ci",
        "robot update ci --address 10.2.0.0/16 --any-address",
        "role update mover",
        "label change old",
        "repository create team/",
        "repository create /app",
        "repository delete / --yes",
        "audit list --since yesterday",
        "audit list --from 2026-11-02 --to 2026-11-02",
        "audit fetch never.jsonl --to 0001-01-01T00:00+08:00",
        "audit list --outcome maybe",
        "member add team bob --role keeper",
        "config set read_only",
        "project list --limit -1",
        "project list -o yaml",
        "token list",
        "token list --user bob --password-stdin",
        "session list --limit -1",
        "session end",
    ],
)
def test_what_can_not_be_understood_ends_with_2_and_changes_nothing(
    client: Client, api: ScriptedApi, command: str
) -> None:
    api.on("GET /configurations", {"read_only": {"value": False, "editable": True}})

    result = client.run(*command.split())

    assert result.code == 2
    assert {one.method for one in api.asked} <= {"GET"}


def test_roles_of_members_are_looked_up_in_the_project_whose_administrators_see_no_others(
    client: Client, api: ScriptedApi
) -> None:
    for command in ("member add team bob --role keeper", "member change team bob --role keeper"):
        result = client.run(*command.split())

        assert (result.code, result.err) == (
            2,
            (
                "entrepot: there is no role 'keeper' that members of a project can have\n"
                "There are project-admin, developer, guest, team-lead, limited-guest, auditor, and those of: "
                "entrepot role list --project team\n"
            ),
        )
        asked = [one for one in api.asked if one.path == "/roles"][-1]
        assert asked.query["project_name_or_id"] == "team"


def test_what_a_token_is_good_for_is_told_apart_from_no_limits(client: Client, api: ScriptedApi) -> None:
    """Where projects are hidden from whoever looks, and where the scopes are damaged; older registries hide none."""
    limits: tuple[tuple[object, object, object], ...] = (
        (None, None, 0),
        (["user:read"], ["red", "team"], 2),
        (["user:read"], [], 1),
        ([], [], 0),
        (None, ["red"], None),
    )
    tokens = [
        {"id": "t", "name": "lap", "permissions": what, "projects": where, "hidden_project_count": hidden}
        for what, where, hidden in limits
    ]
    api.on("GET /users/8/access-tokens", tokens)

    result = client.run("token", "list", "--user", "bob")

    shown = [re.split(r"  +", line)[1:3] for line in result.out.splitlines()[1:]]
    assert shown == [
        ["everything", "everywhere"],
        ["user:read", "red, team, 2 hidden"],
        ["user:read", "1 hidden"],
        ["nothing", "nowhere"],
        ["everything", "red"],
    ]


def test_last_uses_are_shown_as_other_times_are(client: Client, api: ScriptedApi) -> None:
    api.on(
        "GET /users/8/access-tokens", [{"id": "t3", "name": "lap", "last_use_time": "2026-11-27T10:00:00.9Z"}]
    )
    api.on("GET /robots", [{"id": 51, "name": "robot$ci", "last_use_time": "2026-11-27T10:00:00.9Z"}])

    for command in ("token list --user bob", "robot list"):
        result = client.run(*command.split())

        assert "LAST USED" in result.out
        assert "2026-11-27 10:00:00+00:00" in result.out


def test_a_robots_secret_stands_alone_on_standard_output(client: Client, api: ScriptedApi) -> None:
    made = {"id": 1, "name": "robot$team+cd", "secret": "ers_once", "expires_at": 1795687200}
    api.on("POST /robots", made, status=201)
    command = [
        "robot",
        "create",
        "cd",
        "--project",
        "team",
        "--allow",
        "repository:pull",
        "--allow",
        "repository:push",
        "--days",
        "30",
    ]

    by_name = client.run(*command, "-o", "name")
    by_json = client.run(*command, "-o", "json")
    by_table = client.run(*command)

    assert (by_name.code, by_name.out, by_name.err) == (0, "ers_once\n", "")
    assert json.loads(by_json.out) == made
    assert "SECRET  ers_once\n" in by_table.out
    assert by_table.err == "The secret is shown this once.\n"
    assert api.document_of("POST /robots") == {
        "name": "cd",
        "level": "project",
        "permissions": [
            {
                "kind": "project",
                "namespace": "team",
                "access": [PULL, {"resource": "repository", "action": "push"}],
            }
        ],
        "duration": 30,
    }


def test_a_robot_of_the_system_has_its_permissions_by_place(client: Client, api: ScriptedApi) -> None:
    api.on("POST /robots", {"id": 1, "name": "robot$cd", "secret": "x", "expires_at": -1}, status=201)
    allow = ("/=catalog:read", "*=repository:pull", "team=tag:list")

    client.run("robot", "create", "cd", *(part for one in allow for part in ("--allow", one)))

    assert api.document_of("POST /robots")["permissions"] == [
        {"kind": "system", "namespace": "/", "access": [{"resource": "catalog", "action": "read"}]},
        {"kind": "project", "namespace": "*", "access": [PULL]},
        {"kind": "project", "namespace": "team", "access": [{"resource": "tag", "action": "list"}]},
    ]


def test_s27_a_chosen_secret_is_not_shown_again(client: Client, api: ScriptedApi) -> None:
    made = {"id": 1, "name": "robot$cd", "secret": "ch0sen", "expires_at": -1}
    api.on("POST /robots", made, status=201)

    result = client.run("robot", "create", "cd", "--allow", "*=log:list", "--secret-stdin", stdin="ch0sen\n")

    assert result.code == 0
    assert "ch0sen" not in result.out + result.err
    assert api.document_of("POST /robots")["secret"] == "ch0sen"


def test_a_rotated_robot_has_the_secret_of_the_answer(client: Client, api: ScriptedApi) -> None:
    api.on("PATCH /robots/51", {"secret": "ers_two"})

    assert client.run("robot", "rotate", "ci", "-o", "name").out == "ers_two\n"
    assert api.document_of("PATCH /robots/51") == {"secret": ""}


def test_s15_tokens_are_dealt_with_by_the_password_where_the_login_is_a_token(
    client: Client, api: ScriptedApi
) -> None:
    made = {"id": "t9", "name": "ci", "secret": "ept_once", "expires_at": None}
    api.on("POST /access-tokens", made, status=201)
    command = [
        "token",
        "create",
        "ci",
        "--allow",
        "repository:pull",
        "--project",
        "team",
        "--days",
        "7",
        "-o",
        "name",
        "--password-stdin",
    ]

    result = client.run(*command, stdin="my password\n")

    assert (result.code, result.out, result.err) == (0, "ept_once\n", "")
    assert api.asked[-1].credentials == "alice:my password"
    assert api.document_of("POST /access-tokens") == {
        "name": "ci",
        "permissions": ["repository:pull"],
        "projects": ["team"],
        "expires_in_days": 7,
    }


def test_settings_of_run_time_are_written_as_what_they_are(client: Client, api: ScriptedApi) -> None:
    values = {"read_only": False, "session_timeout": 30, "banner_message": ""}
    api.on("GET /configurations", {key: {"value": value, "editable": True} for key, value in values.items()})
    api.on("PUT /configurations")

    result = client.run("config", "set", "read_only=true", "session_timeout=60", "banner_message=7")
    shown = client.run("config", "show")
    unknown = client.run("config", "set", "nonsense=1")

    changes = {"read_only": True, "session_timeout": 60, "banner_message": "7"}
    assert (result.code, api.document_of("PUT /configurations")) == (0, changes)
    assert shown.out.splitlines()[-1] == "session_timeout  30     yes"
    assert unknown.code == 2


def test_names_are_escaped_in_paths_and_never_taken_for_numbers(client: Client, api: ScriptedApi) -> None:
    client.run("project", "show", "../b?x".replace("/", "\\"))
    client.run("project", "show", "5")
    shown = client.run("project", "show", "a/../b")

    assert api.lines() == ["GET /projects/..%5Cb%3Fx", "GET /projects/5"]
    assert (shown.code, "only names of repositories have slashes" in shown.err) == (4, True)
    assert api.asked[-1].headers["x-is-resource-name"] == "true"


def test_whoami_of_a_robot_says_what_is_known_here(client: Client, api: ScriptedApi) -> None:
    api.on("GET /users/current", refusal(404, "there is no such person"))

    result = client.run("whoami", "-o", "json")

    assert (result.code, json.loads(result.out)["username"]) == (0, "alice")


@pytest.mark.parametrize(
    ("output", "shown"),
    [("name", "team"), ("json", '{"name": "team", "project_id": 7}'), ("table", "Created project team.")],
)
def test_a_new_project_is_told_of_to_people_scripts_and_programs(
    client: Client, api: ScriptedApi, output: str, shown: str
) -> None:
    client.log_in(api)
    api.on("POST /projects", status=201, location="/api/v2.0/projects/7")

    result = client.run("project", "create", "team", "-o", output)

    written = result.out or result.err
    assert result.code == 0
    assert json.dumps(json.loads(written)) == shown if output == "json" else written == f"{shown}\n"


def test_a_new_person_is_told_of_by_name_and_number(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    api.on("POST /users", status=201, location="/api/v2.0/users/12")

    result = client.run("user", "create", "ann", "--password-stdin", "-o", "json", stdin="Bq7#mxLp-canary\n")

    assert (result.code, json.loads(result.out)) == (0, {"username": "ann", "user_id": 12})


@pytest.mark.parametrize(
    "command", ["role update developer --allow repository:pull", "role delete developer -y"]
)
def test_a_role_that_is_built_in_is_said_to_be(client: Client, api: ScriptedApi, command: str) -> None:
    """And not to be missing, or hidden."""
    client.log_in(api)
    api.on(
        "GET /roles", [{"id": 2, "name": "developer", "builtin": True, "description": "", "permissions": {}}]
    )

    result = client.run(*command.split())

    assert (result.code, result.err.splitlines()[0]) == (
        1,
        "entrepot: role developer is built in: it can't be changed or deleted",
    )
    assert {asked.method for asked in api.asked} == {"GET"}


def test_the_new_secret_of_an_expired_robot_comes_with_a_warning(client: Client, api: ScriptedApi) -> None:
    client.log_in(api)
    robot = {"id": 51, "name": "robot$ci", "level": "system", "expires_at": 1}
    api.on("GET /robots", [robot])
    api.on("PATCH /robots/51", {"secret": "ers_two"})

    result = client.run("robot", "rotate", "ci", "-o", "name")

    assert (result.code, result.out) == (0, "ers_two\n")
    assert "Robot robot$ci has expired, so the secret opens nothing" in result.err
