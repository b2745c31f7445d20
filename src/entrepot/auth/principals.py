"""The one who asks, as the edge found them, and what they presented leaves of their rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

__all__ = [
    "ANONYMOUS",
    "BY_THE_HOST",
    "NO_ORIGIN",
    "THE_REGISTRY",
    "CredentialLimits",
    "Origin",
    "Principal",
    "PrincipalKind",
    "Sponsor",
]

ANONYMOUS: Final = "anonymous"
"""The subject and the name of everybody who presented no credentials."""

PrincipalKind = Literal["anonymous", "user", "robot", "host"]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The request that somebody makes, as an audit record tells of it; all texts may be empty.

    Attributes:
        path: the path of the URL, without the query.
        success_status: that of the reply if all goes well; 0 where that is not known beforehand.
    """

    request_id: str = ""
    user_agent: str = ""
    method: str = ""
    path: str = ""
    success_status: int = 0


NO_ORIGIN: Final = Origin()
"""What is not done for a request: commands on the host and the work of the background worker."""


class CredentialLimits(msgspec.Struct, frozen=True, gc=False):
    """What a credential that is weaker than its subject may be used for (S15); `None` sets no limit.

    Attributes:
        permissions: names of permissions, as `repository:pull`.
        projects: names of projects.
        credential: the public id of the access token, for audit records and for refresh tokens that come of it.
    """

    credential: str
    permissions: frozenset[str] | None = None
    projects: frozenset[str] | None = None

    @property
    def leave_out_anything(self) -> bool:
        """Whether the credential is weaker than its subject."""
        return self.permissions is not None or self.projects is not None

    def allow(self, permission: str, project: str) -> bool:
        """Whether the limits leave a permission; `project` is empty for what concerns the system as a whole."""
        if self.permissions is not None and permission not in self.permissions:
            return False
        return self.projects is None or project in self.projects


class Sponsor(msgspec.Struct, frozen=True, gc=False):
    """Who answers for a robot, which never may more than they (S9).

    Attributes:
        person: the public id; empty for operators of the host, who bind a robot to its own permissions only.
        epoch: of that person's row when the robot's credentials were looked up; 0 for who has no row.
    """

    person: str
    epoch: int

    @property
    def is_host(self) -> bool:
        """Whether it is an operator of the host."""
        return not self.person


BY_THE_HOST: Final = Sponsor("", 0)
"""Answers for robots that were made on the host."""


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who asks, and from where.

    Attributes:
        subject: the stable id that upload sessions, rows and audit records carry: the public id of a subject's row,
            `anonymous`, `registry`, or `host:` and a login name.
        address: the peer's IP address as text, empty when the server could not tell.
        forwarded: whether anything suggests that somebody passed the request on, so that `address` is not the client's.
        name: what people call the subject: the login name of a person, the full name of a robot.
        limits: what the presented credential leaves, `None` when it is as good as its subject.
        access: for a bearer token, the actions (`pull`, `push`, `delete`, `create`, `overwrite`) by name of repository
            that were decided when it was issued and may still be done, and under `*` those on the registry (`catalog`);
            `None` for everybody else, who is decided about anew.
        must_change_password: whether the person may do nothing but choose a new password.
        session: the public id of the browser's session that vouches for the person, who showed the password when it
            began; empty for who came with something else.
        epoch: of the subject's row when the credentials were checked; 0 for who has no row.
        sponsor: of a robot; `None` for everybody else, and for a robot that nobody answers for: it may do nothing.
        ends_at: when the robot or the access token that was presented expires, or that behind a refresh token: seconds
            since 1970 by the database's clock; `None` for never, and for who came with something else.
    """

    subject: str
    address: str
    forwarded: bool
    name: str = ANONYMOUS
    kind: PrincipalKind = "anonymous"
    origin: Origin = NO_ORIGIN
    limits: CredentialLimits | None = None
    access: Mapping[str, frozenset[str]] | None = None
    must_change_password: bool = False
    session: str = ""
    epoch: int = 0
    sponsor: Sponsor | None = None
    ends_at: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the credential that was presented is weaker than its subject (S15)."""
        return self.limits is not None and self.limits.leave_out_anything


THE_REGISTRY: Final = Principal("registry", "", forwarded=False, name="registry", kind="host")
"""Does what nobody asked for: the background worker, by its settings. Not the login name it runs under: whoever has
that may do the same by hand."""
