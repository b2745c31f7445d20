"""Rules that change people, groups, projects, roles and robots, as their administrators do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.stateful.identity_model import (
    ACTIONS,
    ROLE_IDS,
    Credential,
    GroupModel,
    PersonModel,
    RobotModel,
)
from tests.stateful.identity_questions import IdentityQuestions
from tests.stateful.identity_stage import (
    GROUPS,
    PEOPLE,
    of_group,
    of_person,
    of_project,
    of_robot,
    of_role,
    permissions_of,
)
from tests.stateful.node import basic

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IdentityChanges"]


class IdentityChanges(IdentityQuestions):
    """Rules that change what the decisions rest on."""

    @rule(slot=of_person, disabled=st.booleans())
    def switch_person(self, slot: int, disabled: bool) -> None:
        """Disable a person, by which all that they have stops and what was issued ends for good; or enable them."""
        person = self._people[slot]
        self._world.switch_person(person.number, enabled=not disabled)
        if person.disabled != disabled:
            person.disabled = disabled
            person.version += 1
        self._touch(person)

    @rule(slot=of_person)
    def replace_person(self, slot: int) -> None:
        """Delete a person, and make another one of the same name, who inherits nothing."""
        person = self._people[slot]
        self._world.change("DELETE", f"users/{person.number}")
        person.deleted = True
        person.version += 1
        for project in self._projects:
            project.members.pop(person, None)
        self._touch(person)
        self._people[slot] = self._new_person(slot)

    @rule(slot=of_person)
    def change_password(self, slot: int) -> None:
        """Let a person choose another password."""
        person = self._people[slot]
        new = self._world.new_password(person.name)
        status = self._world.change_own_password(person.name, person.number, person.password, new)
        assert status == (200 if person.present else 401)
        if person.present:
            self._take_password(person, new, must_change=False)
        self._touch(person)

    @rule(slot=of_person)
    def reset_password(self, slot: int) -> None:
        """Give a person a password that they have to change, by which their access tokens end."""
        person = self._people[slot]
        new = self._world.new_password(person.name)
        self._world.change("PUT", f"users/{person.number}/password", {"new_password": new})
        self._take_password(person, new, must_change=True)
        for credential in self._credentials:
            if credential.owner is person and credential.kind == "token":
                credential.ended = True
        self._touch(person)

    @rule(slot=of_person, give=st.booleans())
    def set_administrator(self, slot: int, give: bool) -> None:
        """Make a person an administrator of the registry, or no longer one."""
        person = self._people[slot]
        self._world.change("PUT", f"users/{person.number}/sysadmin", {"sysadmin_flag": give})
        if give == ("operations-admin" in person.system_roles):
            return
        person.version += 1
        person.system_roles ^= {"operations-admin"}
        self._touch(person)

    # Groups and roles

    @rule(slot=of_group, members=st.sets(of_person))
    def set_group(self, slot: int, members: set[int]) -> None:
        """Let exactly these be in a group (S13)."""
        group, wanted = self._groups[slot], {self._people[number] for number in members}
        self._world.set_group_members(group.number, [person.number for person in wanted])
        for person in self._people:
            if (person in wanted) != (group in person.groups):
                person.groups ^= {group}
                person.version += 1
                self._touch(person)

    @rule(slot=of_group)
    def replace_group(self, slot: int) -> None:
        """Delete a group, and make another one of the same name, which inherits nothing."""
        group = self._groups[slot]
        self._world.change("DELETE", f"usergroups/{group.number}")
        for person in self._people:
            if group in person.groups:
                person.groups.remove(group)
                person.version += 1
                self._touch(person)
        for project in self._projects:
            project.members.pop(group, None)
        self._groups[slot] = self._new_group(slot)

    @rule(slot=of_project, whose=st.integers(0, PEOPLE + GROUPS - 1), role=of_role)
    def set_member(self, slot: int, whose: int, role: str | None) -> None:
        """Add a member to a project, give them another role, or remove them."""
        project = self._projects[slot]
        member = self._holder(whose)
        before, path = project.members.get(member), f"projects/{project.name}/members"
        if role is None:
            if before is None:
                return
            self._world.change("DELETE", f"{path}/{self._members.pop((project, member))}")
            del project.members[member]
        elif before is None:
            kind = {"member_user": {"user_id": member.number}}
            if isinstance(member, GroupModel):
                kind = {"member_group": {"id": member.number}}
            body = {"role_id": ROLE_IDS[role], **kind}
            if isinstance(member, PersonModel) and member.disabled:
                assert self._world.api("POST", path, body).status == 404
                return
            number = self._world.make(path, body)
            self._members[project, member] = number
            project.members[member] = role
        else:
            number = self._members[project, member]
            self._world.change("PUT", f"{path}/{number}", {"role_id": ROLE_IDS[role]})
            project.members[member] = role
        self._touch(*self._people_of(member), project=slot)

    @rule(whose=st.integers(0, PEOPLE + GROUPS - 1), role=st.sampled_from(["auditor", "developer"]))
    def toggle_system_role(self, whose: int, role: str) -> None:
        """Give a person or a group a role on the system, or take it."""
        holder = self._holder(whose)
        if role in holder.system_roles:
            self._world.take_system_role(self._assignments.pop((holder, role)))
        else:
            self._assignments[holder, role] = self._world.give_system_role(holder.number, role)
        holder.system_roles ^= {role}
        for person in self._people_of(holder):
            person.version += 1
        self._touch(*self._people_of(holder))

    # Projects

    @rule(
        slot=of_project,
        public=st.booleans(),
        creation=st.sampled_from(["operators", "team-leads", "developers"]),
    )
    def set_project(self, slot: int, public: bool, creation: str) -> None:
        """Change who sees a project, and who makes repositories in it."""
        project = self._projects[slot]
        metadata = {"public": str(public).lower(), "repository_creation": creation}
        self._world.change("PUT", f"projects/{project.name}", {"metadata": metadata})
        project.public, project.creation = public, creation
        self._touch(project=slot)

    @rule(slot=of_project)
    def replace_project(self, slot: int) -> None:
        """Delete a project, unless something was pushed to it, and make another one of its name with nothing in it."""
        project = self._projects[slot]
        status = self._world.api("DELETE", f"projects/{project.name}").status
        assert status == (412 if project.repositories else 200)
        if project.repositories:
            return
        for place, robot in list(self._robots.items()):
            if robot.project is project:
                robot.deleted = True
                robot.version += 1
                del self._robots[place]
                self._touch(robot)
        for member in list(project.members):
            self._touch(*self._people_of(member), project=slot)
        self._projects[slot] = self._new_project(slot)

    # Robots

    @rule(
        slot=of_robot,
        project=of_project,
        maker=st.integers(-1, PEOPLE - 1),
        allowed=st.sets(st.sampled_from(sorted(ACTIONS)), min_size=1),
        everywhere=st.booleans(),
    )
    def make_robot(self, slot: int, project: int, maker: int, allowed: set[str], everywhere: bool) -> None:
        """Let the administrator or a person make a robot; only who holds what it gets may, and answers for it (S9)."""
        if slot in self._robots:
            return
        place = self._projects[project]
        sponsor = self._administrator if maker < 0 else self._people[maker]
        name = f"{self._prefix}-{next(self._names)}"
        body = {
            "name": name,
            "level": "system" if everywhere else "project",
            "permissions": permissions_of(None if everywhere else place, allowed),
        }
        reply = self._world.api("POST", "robots", body, basic(sponsor.name, sponsor.password))
        expected = 201 if self._may_make_robot(sponsor, place, everywhere=everywhere) else 403
        assert reply.status == (expected if sponsor.present else 401), reply.body
        if reply.status != 201:
            return
        made = json.loads(reply.body)
        robot = RobotModel(
            made["name"], made["id"], None if everywhere else place, frozenset(allowed), sponsor
        )
        self._robots[slot] = robot
        self._credentials.append(Credential("robot", robot, made["secret"]))
        self._touch(robot)

    @rule(slot=of_robot, disabled=st.booleans())
    def switch_robot(self, slot: int, disabled: bool) -> None:
        """Disable a robot, or enable it, by which the administrator takes it over."""
        robot = self._robots.get(slot)
        if robot is None:
            return
        self._world.change("PUT", f"robots/{robot.number}", {"disable": disabled})
        if robot.disabled != disabled:
            robot.version += 1
            robot.sponsor = robot.sponsor if disabled else self._administrator
        robot.disabled = disabled
        self._touch(robot)

    @rule(slot=of_robot, allowed=st.sets(st.sampled_from(sorted(ACTIONS)), min_size=1))
    def change_robot(self, slot: int, allowed: set[str]) -> None:
        """Give a robot other permissions, by which the administrator takes it over."""
        robot = self._robots.get(slot)
        if robot is None:
            return
        permissions = permissions_of(robot.project, allowed)
        self._world.change("PUT", f"robots/{robot.number}", {"permissions": permissions})
        if robot.allowed != frozenset(allowed) or robot.sponsor is not self._administrator:
            robot.version += 1
            self._carry_logins_over(robot)
        robot.allowed, robot.sponsor = frozenset(allowed), self._administrator
        self._touch(robot)

    def _carry_logins_over(self, robot: RobotModel) -> None:
        """Logins with a secret that stays go on, unless the robot is stopped."""
        for refresh in self._refresh_tokens:
            if refresh.owner is robot and refresh.version == robot.version - 1 and not robot.disabled:
                refresh.version += 1

    @rule(slot=of_robot)
    def rotate_robot(self, slot: int) -> None:
        """Give a robot another secret, by which the administrator takes it over."""
        robot = self._robots.get(slot)
        if robot is None:
            return
        reply = self._world.api("PATCH", f"robots/{robot.number}", {})
        assert reply.status == 200, reply.body
        self._end_credentials(robot)
        robot.version += 1
        robot.sponsor = self._administrator
        self._credentials.append(Credential("robot", robot, json.loads(reply.body)["secret"]))
        self._touch(robot)

    @rule(slot=of_robot)
    def delete_robot(self, slot: int) -> None:
        """Delete a robot."""
        robot = self._robots.pop(slot, None)
        if robot is None:
            return
        self._world.change("DELETE", f"robots/{robot.number}")
        robot.deleted = True
        robot.version += 1
        self._touch(robot)

    # There and back

    @rule(
        what=st.sampled_from(["role", "group role", "administrator", "group", "member"]),
        slot=of_person,
        project=of_project,
    )
    def give_and_take(self, what: str, slot: int, project: int) -> None:
        """Give a person something, have them take tokens under it, and take it: the tokens go with it (S14)."""
        whose = PEOPLE + slot % GROUPS if what == "group role" else slot
        role = "auditor" if what == "group role" and project else "developer"
        match what:
            case "role" | "group role":
                self._there_and_back(lambda _: self.toggle_system_role(whose, role))
            case "administrator":
                self._there_and_back(lambda give: self.set_administrator(slot, give))
            case "group":
                group = self._groups[project]
                others = {
                    each for each in range(PEOPLE) if each != slot and group in self._people[each].groups
                }
                self._there_and_back(
                    lambda give: self.set_group(project, others | ({slot} if give else set()))
                )
            case _:
                self._there_and_back(
                    lambda give: self.set_member(project, slot, "team-lead" if give else None)
                )

    @rule(slot=of_person, robot=of_robot, whose=st.booleans())
    def stop_and_go(self, slot: int, robot: int, whose: bool) -> None:
        """Disable a person, or a robot, and let them go on: what was issued before does not come back (S14)."""
        if whose:
            self._there_and_back(lambda there: self.switch_person(slot, there))
        else:
            self._there_and_back(lambda there: self.switch_robot(robot, there))

    def _there_and_back(self, change: Callable[[bool], None]) -> None:
        change(True)
        self._settle()
        change(False)
