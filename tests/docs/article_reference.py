"""The article's table of roles, and ours beside it, worked out from the roles that the program decides by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.role_decisions import _MAY_CREATE_AS_WELL as MAY_CREATE_AS_WELL
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.projects.projects import _DEFAULT_CREATION as DEFAULT_CREATION
from tests.docs.tables import render_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.auth.roles import Role

__all__ = [
    "ARTICLE_ROLES",
    "OUTSIDER",
    "OWN_ROLES",
    "allowed_acts",
    "render_article_roles",
    "render_article_roles_in_chinese",
    "render_roles_by_act",
    "render_roles_by_act_in_chinese",
]

ARTICLE_ROLES: Final = {
    "developer": "开发人员",
    "team-lead": "团队负责人",
    "operations-admin": "运维管理员",
    "auditor": "审计员",
}
"""The roles of the article, in its order, with its names of them."""

OUTSIDER: Final = "outsider"
"""Somebody with an account and without any role."""

OWN_ROLES: Final = {"guest": "访客", "project-admin": "项目管理员", OUTSIDER: "无角色的人员"}
"""What the article has not, with what the Chinese pages call it; a limited guest differs in none of these acts."""

_ON_SYSTEM: Final = frozenset({"operations-admin", "auditor"})
"""Roles that are about the whole registry and are given on the system; the others are those of members."""

_ACTS: Final = {
    "pull": "拉取",
    "push": "推送",
    "delete": "删除",
    "delete in another team's project": "删除其他团队的镜像",
    "create a repository": "创建仓库",
    "read the project's audit log": "查看项目的审计日志",
    "read the whole audit log": "查看全部审计日志",
    "change who is a member": "修改成员",
}
_NEEDED: Final = {
    "pull": "repository:pull",
    "push": "repository:push",
    "delete": "repository:delete",
    "read the project's audit log": "log:list",
    "change who is a member": "member:create",
}
"""The permission that an act in one's own project takes."""

_COLUMNS: Final = {
    "push images": "镜像推送",
    "delete images": "镜像删除",
    "create repositories": "仓库创建",
    "read the audit log": "审计查看",
}
"""The article's own columns."""


def allowed_acts(name: str) -> dict[str, bool]:
    """Return what somebody with this role may do, in a private project of their team, and beyond it.

    The project says nothing of who creates repositories, so the default holds.
    """
    role = BUILT_IN_ROLES.get(name)
    on_system = name in _ON_SYSTEM
    held = frozenset[str]() if role is None else role.project
    acts = {act: permission in held for act, permission in _NEEDED.items()}
    acts["delete in another team's project"] = on_system and acts["delete"]
    acts["create a repository"] = "repository:create" in held or _may_create_by_default(acts)
    acts["read the whole audit log"] = on_system and _reads_every_log(role)
    return {act: acts[act] for act in _ACTS}


def _may_create_by_default(acts: Mapping[str, bool]) -> bool:
    needed = MAY_CREATE_AS_WELL.get(DEFAULT_CREATION)
    return needed is not None and all(acts[act] for act in needed)


def _reads_every_log(role: Role | None) -> bool:
    return role is not None and "audit-log:list" in role.system


def render_article_roles() -> str:
    """Return the article's table, in its columns, as the program answers it."""
    return _render_article_roles("Role", list(_COLUMNS), list(ARTICLE_ROLES), "own team")


def render_article_roles_in_chinese() -> str:
    """Return the same with the article's words."""
    return _render_article_roles("角色", list(_COLUMNS.values()), list(ARTICLE_ROLES.values()), "本团队")


def _render_article_roles(corner: str, columns: Sequence[str], names: Sequence[str], own_team: str) -> str:
    rows = [
        (shown, *_article_cells(allowed_acts(name), own_team))
        for name, shown in zip(ARTICLE_ROLES, names, strict=True)
    ]
    return render_table((corner, *columns), rows)


def _article_cells(acts: Mapping[str, bool], own_team: str) -> tuple[str, str, str, str]:
    return (
        _tick(acts["push"]),
        _reach(acts["delete"], acts["delete in another team's project"], own_team),
        _tick(acts["create a repository"]),
        _reach(acts["read the project's audit log"], acts["read the whole audit log"], own_team),
    )


def _reach(own: bool, everywhere: bool, own_team: str) -> str:
    return f"✓ ({own_team})" if own and not everywhere else _tick(everywhere)


def _tick(allowed: bool) -> str:
    return "✓" if allowed else "—"


def render_roles_by_act() -> str:
    """Return every act that is tried with real clients, by role: the article's roles, then the others."""
    return _render_roles_by_act("Role", list(_ACTS), [*ARTICLE_ROLES, *OWN_ROLES])


def render_roles_by_act_in_chinese() -> str:
    """Return the same in Chinese."""
    return _render_roles_by_act("角色", list(_ACTS.values()), [*ARTICLE_ROLES.values(), *OWN_ROLES.values()])


def _render_roles_by_act(corner: str, acts: Sequence[str], names: Sequence[str]) -> str:
    rows = [
        (shown, *(_tick(allowed) for allowed in allowed_acts(name).values()))
        for name, shown in zip([*ARTICLE_ROLES, *OWN_ROLES], names, strict=True)
    ]
    return render_table((corner, *acts), rows)
