"""What each command asks of the registry, as tables."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["CHANGES", "PULL", "READS"]

PULL: Final = {"resource": "repository", "action": "pull"}

CHANGES: Final[list[tuple[str, str, Any]]] = [
    (
        "project create new --public --set repository_creation=developers",
        "POST /projects",
        {"project_name": "new", "metadata": {"repository_creation": "developers", "public": "true"}},
    ),
    ("project create new", "POST /projects", {"project_name": "new", "metadata": {}}),
    (
        "project set team public=false severity=high",
        "PUT /projects/team",
        {"metadata": {"public": "false", "severity": "high"}},
    ),
    ("project delete team --yes", "DELETE /projects/team", None),
    (
        "member add team bob --role developer",
        "POST /projects/team/members",
        {"role_id": 2, "member_user": {"username": "bob"}},
    ),
    (
        "member add team team --group --role mover",
        "POST /projects/team/members",
        {"role_id": 1000, "member_group": {"group_name": "team"}},
    ),
    ("member change team bob --role team-lead", "PUT /projects/team/members/42", {"role_id": 4}),
    ("member change team bob --group --role 1001", "PUT /projects/team/members/41", {"role_id": 1001}),
    ("member remove team bob -y", "DELETE /projects/team/members/42", None),
    (
        "user create eve --email e@x.example --password-stdin",
        "POST /users",
        {"username": "eve", "password": "line one", "email": "e@x.example"},
    ),
    ("user delete bob --yes", "DELETE /users/8", None),
    (
        "user password --password-stdin",
        "PUT /users/7/password",
        {"old_password": "line one", "new_password": "line two"},
    ),
    ("user reset-password bob --password-stdin", "PUT /users/8/password", {"new_password": "line one"}),
    ("user admin bob", "PUT /users/8/sysadmin", {"sysadmin_flag": True}),
    ("user admin bob --revoke --yes", "PUT /users/8/sysadmin", {"sysadmin_flag": False}),
    ("user unlock bob", "POST /users/8/unlock", None),
    ("user disable bob", "PUT /users/8/disabled", {"disabled": True}),
    ("user enable bob", "PUT /users/8/disabled", {"disabled": False}),
    ("group create ops", "POST /usergroups", {"group_name": "ops"}),
    ("group rename team crew", "PUT /usergroups/31", {"group_name": "crew"}),
    ("group delete team --yes", "DELETE /usergroups/31", None),
    ("group add team bob", "POST /usergroups/31/members", {"user_id": 8}),
    ("group remove team bob --yes", "DELETE /usergroups/31/members/8", None),
    ("robot update ci --disable", "PUT /robots/51", {"disable": True}),
    (
        "robot update ci --address 10.2.0.0/16 --address 2001:db8::7",
        "PUT /robots/51",
        {"allowed_addresses": ["10.2.0.0/16", "2001:db8::7"]},
    ),
    ("robot update ci --any-address", "PUT /robots/51", {"allowed_addresses": []}),
    (
        "robot update robot$ci --enable --allow team=repository:pull",
        "PUT /robots/51",
        {"disable": False, "permissions": [{"kind": "project", "namespace": "team", "access": [PULL]}]},
    ),
    ("robot delete ci --yes", "DELETE /robots/51", None),
    ("token delete t2 --yes --password-stdin", "DELETE /access-tokens/t2", None),
    ("token delete ci --yes --password-stdin", "DELETE /access-tokens/t2", None),
    ("repository create team/a/b", "POST /projects/team/repositories", {"name": "a/b"}),
    ("repository delete team/a/b --yes", "DELETE /projects/team/repositories/a%252Fb", None),
    ("repository create app", "POST /projects/library/repositories", {"name": "_/app"}),
    ("repository create library/app", "POST /projects/library/repositories", {"name": "app"}),
    ("repository delete app --yes", "DELETE /projects/library/repositories/_%252Fapp", None),
    ("repository delete library/app --yes", "DELETE /projects/library/repositories/app", None),
    (
        "role create mover2 --allow log:list --allow repository:pull",
        "POST /roles",
        {
            "name": "mover2",
            "level": "project",
            "description": "",
            "permissions": ["log:list", "repository:pull"],
        },
    ),
    (
        "role update mover --description Moves.",
        "PUT /roles/1000",
        {"description": "Moves.", "permissions": ["log:list"]},
    ),
    ("role delete mover --yes", "DELETE /roles/1000", None),
    ("role assign bob auditor", "POST /role-assignments", {"subject_id": 8, "role": "auditor"}),
    ("role assign team auditor --group", "POST /role-assignments", {"subject_id": 31, "role": "auditor"}),
    ("role revoke bob auditor --yes", "DELETE /role-assignments/71", None),
    ("label create new --color #FF0000", "POST /labels", {"name": "new", "color": "#FF0000", "scope": "g"}),
    ("label create new --project team", "POST /labels", {"name": "new", "scope": "p", "project_id": 5}),
    (
        "label change old --rename new",
        "PUT /labels/61",
        {"name": "new", "color": "#FFFFFF", "scope": "g", "description": "d"},
    ),
    ("label delete old --yes", "DELETE /labels/61", None),
    ("session end s1 --yes", "DELETE /sessions/s1", None),
    ("token delete lap --user bob --yes", "DELETE /users/8/access-tokens/t3", None),
]
"""Command, request, and the body of that request."""

READS: Final[list[tuple[str, str, dict[str, str]]]] = [
    ("project list --name te", "GET /projects", {"name": "te"}),
    ("member list team", "GET /projects/team/members", {}),
    ("user list --name b", "GET /users", {"q": "username=~b"}),
    ("group list --name te", "GET /usergroups", {"group_name": "te"}),
    ("group members team", "GET /usergroups/31/members", {}),
    ("robot list", "GET /robots", {}),
    ("robot list --project team", "GET /robots", {"q": "Level=project,ProjectID=5"}),
    ("token list --password-stdin", "GET /access-tokens", {}),
    ("token list --user bob", "GET /users/8/access-tokens", {}),
    ("session list", "GET /sessions", {}),
    ("session list --all", "GET /sessions", {"all": "true"}),
    ("repository list", "GET /repositories", {}),
    ("repository list team", "GET /projects/team/repositories", {}),
    ("role list", "GET /roles", {}),
    ("role list --project team", "GET /roles", {"project_name_or_id": "team"}),
    ("role assignments", "GET /role-assignments", {}),
    ("label list --project team", "GET /labels", {"scope": "p", "project_id": "5"}),
    ("audit list", "GET /audit-logs", {}),
    (
        "audit list --user a,b --action manifest.push --since 2026-11-27T10:00+02:00",
        "GET /audit-logs",
        {"q": 'username={"a%2Cb"},operation=manifest.push,op_time=[2026-11-27T08:00:00.000Z~]'},
    ),
    (
        "audit list --object team/app --from 2026-11-27T10:00+02:00 --to 2026-11-28T10:00+02:00",
        "GET /audit-logs",
        {"q": "resource=team%2Fapp,op_time=[2026-11-27T08:00:00.000Z~2026-11-28T07:59:59.999Z]"},
    ),
    ("audit list --request-id 7-a.B_c", "GET /audit-logs", {"q": "request_id=7-a.B_c"}),
    ("audit list --address 2001:db8::7", "GET /audit-logs", {"q": "address=2001%3Adb8%3A%3A7"}),
    ("audit list --project team --outcome failure", "GET /projects/team/logs", {"q": "outcome=failure"}),
]
"""Command, request, and the query of that request, but for the page."""
