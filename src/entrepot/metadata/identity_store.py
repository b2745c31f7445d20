"""What units and readers offer of people, what they may do, and the record of what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from entrepot.metadata.access_token_store import AccessTokenReader, AccessTokenWriterRows
    from entrepot.metadata.assignment_store import AssignmentReader, AssignmentRows
    from entrepot.metadata.audit_store import AuditChainRows, AuditReader, AuditWriterRows
    from entrepot.metadata.configuration_store import ConfigurationReader, ConfigurationRows
    from entrepot.metadata.credential_store import CredentialReader
    from entrepot.metadata.epoch_store import EpochReader, EpochRows
    from entrepot.metadata.group_store import GroupReader, GroupWriterRows
    from entrepot.metadata.key_store import SigningKeyReader, SigningKeyRows
    from entrepot.metadata.label_store import LabelReader, LabelRows
    from entrepot.metadata.login_store import LoginFailureReader, LoginFailureRows
    from entrepot.metadata.member_store import MemberReader, MemberRows
    from entrepot.metadata.project_repository_store import ProjectRepositoryReader, ProjectRepositoryRows
    from entrepot.metadata.project_store import ProjectReader, ProjectRows
    from entrepot.metadata.refresh_token_store import RefreshTokenReader, RefreshTokenRows
    from entrepot.metadata.robot_store import RobotReader, RobotWriterRows
    from entrepot.metadata.role_store import RoleReader, RoleRows
    from entrepot.metadata.session_store import SessionReader, SessionWriterRows
    from entrepot.metadata.standing_store import StandingReader
    from entrepot.metadata.user_store import UserReader, UserWriterRows

__all__ = ["IdentityReaders", "IdentityRows"]


class IdentityRows(Protocol):
    """The part of a transaction that is about people, projects and the audit log."""

    @property
    def audit(self) -> AuditWriterRows:
        """Records of what was done."""
        ...

    @property
    def users(self) -> UserWriterRows:
        """People."""
        ...

    @property
    def user_groups(self) -> GroupWriterRows:
        """Groups of people."""
        ...

    @property
    def login_failures(self) -> LoginFailureRows:
        """Wrong passwords."""
        ...

    @property
    def web_sessions(self) -> SessionWriterRows:
        """Logins in a browser."""
        ...

    @property
    def epochs(self) -> EpochRows:
        """What lets issued tokens die."""
        ...

    @property
    def standings(self) -> StandingReader:
        """What access is decided by."""
        ...

    @property
    def roles(self) -> RoleRows:
        """Custom roles."""
        ...

    @property
    def role_assignments(self) -> AssignmentRows:
        """Roles on the system."""
        ...

    @property
    def projects(self) -> ProjectRows:
        """Projects."""
        ...

    @property
    def members(self) -> MemberRows:
        """Members of projects."""
        ...

    @property
    def labels(self) -> LabelRows:
        """Labels."""
        ...

    @property
    def configurations(self) -> ConfigurationRows:
        """Settings that are changed at run time."""
        ...

    @property
    def project_repositories(self) -> ProjectRepositoryRows:
        """Repositories as people see them."""
        ...

    @property
    def robots(self) -> RobotWriterRows:
        """Accounts of machines."""
        ...

    @property
    def access_tokens(self) -> AccessTokenWriterRows:
        """What people give to programs in place of their password."""
        ...

    @property
    def signing_keys(self) -> SigningKeyRows:
        """Keys that sign tokens and checkpoints."""
        ...

    @property
    def refresh_tokens(self) -> RefreshTokenRows:
        """What the token service handed out for offline use."""
        ...

    @property
    def audit_chain(self) -> AuditChainRows:
        """The chain that proves the records, and how far local files were read."""
        ...


class IdentityReaders(Protocol):
    """The part of a metadata store that is about people, projects and the audit log."""

    @property
    def users(self) -> UserReader:
        """People."""
        ...

    @property
    def user_groups(self) -> GroupReader:
        """Groups of people."""
        ...

    @property
    def login_failures(self) -> LoginFailureReader:
        """Wrong passwords."""
        ...

    @property
    def web_sessions(self) -> SessionReader:
        """Logins in a browser."""
        ...

    @property
    def epochs(self) -> EpochReader:
        """What moved of late."""
        ...

    @property
    def roles(self) -> RoleReader:
        """Custom roles."""
        ...

    @property
    def role_assignments(self) -> AssignmentReader:
        """Roles on the system."""
        ...

    @property
    def standings(self) -> StandingReader:
        """What access is decided by."""
        ...

    @property
    def projects(self) -> ProjectReader:
        """Projects."""
        ...

    @property
    def members(self) -> MemberReader:
        """Members of projects."""
        ...

    @property
    def labels(self) -> LabelReader:
        """Labels."""
        ...

    @property
    def configurations(self) -> ConfigurationReader:
        """Settings that are changed at run time."""
        ...

    @property
    def project_repositories(self) -> ProjectRepositoryReader:
        """Repositories as people see them."""
        ...

    @property
    def credentials(self) -> CredentialReader:
        """What an authenticator looks up."""
        ...

    @property
    def robots(self) -> RobotReader:
        """Accounts of machines."""
        ...

    @property
    def access_tokens(self) -> AccessTokenReader:
        """What people give to programs in place of their password."""
        ...

    @property
    def signing_keys(self) -> SigningKeyReader:
        """Keys that sign tokens and checkpoints."""
        ...

    @property
    def refresh_tokens(self) -> RefreshTokenReader:
        """What the token service handed out for offline use."""
        ...

    @property
    def audit(self) -> AuditReader:
        """Records of what was done."""
        ...
