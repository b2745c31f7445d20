"""The commands that speak to a registry over its management API, as data: nothing of them is imported for it."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["CLIENT_COMMANDS", "CLIENT_GROUPS", "ClientCommand"]

_COMMANDS: Final = "entrepot.client.commands"


class ClientCommand(NamedTuple):
    """A command: its words, where its function lies, and one line of help."""

    words: tuple[str, ...]
    function: str
    summary: str


def _command(words: str, function: str, summary: str) -> ClientCommand:
    return ClientCommand(tuple(words.split()), f"{_COMMANDS}.{function}", summary)


CLIENT_GROUPS: Final = {
    "server": "Registries that you are logged in to.",
    "project": "Projects, which hold repositories and those who may use them.",
    "member": "Who has which role in a project.",
    "user": "People with an account.",
    "group": "Groups of users, which have roles like users.",
    "robot": "Accounts of programs.",
    "token": "Access tokens, which programs present in place of a password.",
    "session": "Logins with a browser.",
    "repository": "Repositories.",
    "role": "What one may, and who may it everywhere.",
    "label": "Words for images, of the registry or of a project; nothing puts them on images yet.",
    "config": "Settings of the registry that are changed while it runs.",
    "audit": "The record of who did what.",
}
"""First words that several commands share, each with one line of help."""

CLIENT_COMMANDS: Final[tuple[ClientCommand, ...]] = (
    _command("login", "login:login", "Log in to a registry; what is kept is an access token."),
    _command("logout", "logout:logout", "Log out, and have the registry forget the token."),
    _command("whoami", "whoami:whoami", "Show as whom commands act, and where."),
    _command("server list", "server:list_servers", "List the registries that you are logged in to."),
    _command("server use", "server:use_server", "Choose the registry that commands ask."),
    _command("project list", "project:list_projects", "List the projects that you can see."),
    _command("project create", "project:create_project", "Create a project."),
    _command("project show", "project:show_project", "Show a project and its metadata."),
    _command("project set", "project:set_project", "Change metadata of a project."),
    _command("project delete", "project:delete_project", "Delete a project without repositories."),
    _command("member list", "member:list_members", "List the members of a project."),
    _command("member add", "member:add_member", "Give a user or a group a role in a project."),
    _command("member change", "member:change_member", "Give a member another role."),
    _command("member remove", "member:remove_member", "Take a role in a project away."),
    _command("user list", "user:list_users", "List the users."),
    _command("user create", "user:create_user", "Create a user, who then has no role."),
    _command("user show", "user:show_user", "Show a user."),
    _command("user delete", "user:delete_user", "Delete a user."),
    _command("user password", "user:change_own_password", "Change your own password."),
    _command(
        "user reset-password",
        "user:reset_password",
        "Give a user a password, to be changed at once; their tokens end.",
    ),
    _command("user admin", "user:set_administrator", "Make a user an administrator, or no longer."),
    _command("user unlock", "user:unlock_user", "Let a user who was locked out try again."),
    _command("user disable", "user:disable_user", "Keep a user out without deleting them."),
    _command("user enable", "user:enable_user", "Let a disabled user in again."),
    _command("group list", "group:list_groups", "List the groups."),
    _command("group create", "group:create_group", "Create a group."),
    _command("group rename", "group:rename_group", "Give a group another name."),
    _command("group delete", "group:delete_group", "Delete a group."),
    _command("group members", "group:list_group_members", "List the users in a group."),
    _command("group add", "group:add_to_group", "Put a user into a group."),
    _command("group remove", "group:remove_from_group", "Take a user out of a group."),
    _command("robot list", "robot:list_robots", "List the robots of the system or of a project."),
    _command("robot create", "robot:create_robot", "Create a robot and show its secret, this once."),
    _command("robot show", "robot:show_robot", "Show a robot and what it may do."),
    _command("robot update", "robot:update_robot", "Change a robot."),
    _command("robot rotate", "robot:rotate_robot", "Give a robot another secret."),
    _command("robot delete", "robot:delete_robot", "Delete a robot."),
    _command("token list", "token:list_tokens", "List access tokens: yours, or a user's."),
    _command("token create", "token:create_token", "Create an access token and show it, this once."),
    _command("token delete", "token:delete_token", "Delete an access token: yours, or a user's."),
    _command("session list", "session:list_sessions", "List your sessions in browsers, or everybody's."),
    _command("session end", "session:end_session", "End a session in a browser."),
    _command("repository list", "repository:list_repositories", "List the repositories."),
    _command("repository create", "repository:create_repository", "Create an empty repository."),
    _command("repository delete", "repository:delete_repository", "Delete a repository with all in it."),
    _command("role list", "role:list_roles", "List the roles."),
    _command("role show", "role:show_role", "Show a role and what it permits."),
    _command("role create", "role:create_role", "Create a role of your own."),
    _command("role update", "role:update_role", "Change a role of your own."),
    _command("role delete", "role:delete_role", "Delete a role of your own."),
    _command("role assignments", "role:list_assignments", "List who has which role on the system."),
    _command("role assign", "role:assign_role", "Give a user or a group a role on the system."),
    _command("role revoke", "role:revoke_role", "Take a role on the system away."),
    _command("label list", "label:list_labels", "List the labels of the registry or of a project."),
    _command("label create", "label:create_label", "Create a label."),
    _command("label change", "label:change_label", "Change a label."),
    _command("label delete", "label:delete_label", "Delete a label."),
    _command("config show", "config:show_config", "Show the settings of run time."),
    _command("config set", "config:set_config", "Change settings of run time."),
    _command("audit list", "audit:list_acts", "List who did what, as the registry tells it."),
    _command("audit fetch", "audit_fetch:fetch_export", "Fetch the audit log, signed, for audit verify."),
)
