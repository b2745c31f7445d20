"""The table of all endpoints: what is not in it does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.control_api.endpoints.access_tokens import ACCESS_TOKEN_ENDPOINTS
from entrepot.control_api.endpoints.account_switches import ACCOUNT_SWITCH_ENDPOINTS
from entrepot.control_api.endpoints.audit_export import AUDIT_EXPORT_ENDPOINTS
from entrepot.control_api.endpoints.audit_logs import AUDIT_LOG_ENDPOINTS
from entrepot.control_api.endpoints.configurations import CONFIGURATION_ENDPOINTS
from entrepot.control_api.endpoints.group_members import GROUP_MEMBER_ENDPOINTS
from entrepot.control_api.endpoints.health import HEALTH_ENDPOINTS
from entrepot.control_api.endpoints.labels import LABEL_ENDPOINTS
from entrepot.control_api.endpoints.logins import LOGIN_ENDPOINTS
from entrepot.control_api.endpoints.members import MEMBER_ENDPOINTS
from entrepot.control_api.endpoints.overview import OVERVIEW_ENDPOINTS
from entrepot.control_api.endpoints.own_permissions import OWN_PERMISSION_ENDPOINTS
from entrepot.control_api.endpoints.permissions import PERMISSION_ENDPOINTS
from entrepot.control_api.endpoints.project_listing import PROJECT_LISTING_ENDPOINTS
from entrepot.control_api.endpoints.project_metadata import METADATA_ENDPOINTS
from entrepot.control_api.endpoints.project_summary import PROJECT_SUMMARY_ENDPOINTS
from entrepot.control_api.endpoints.projects import PROJECT_ENDPOINTS
from entrepot.control_api.endpoints.repositories import REPOSITORY_ENDPOINTS
from entrepot.control_api.endpoints.robots import ROBOT_ENDPOINTS
from entrepot.control_api.endpoints.role_assignments import ROLE_ASSIGNMENT_ENDPOINTS
from entrepot.control_api.endpoints.roles import ROLE_ENDPOINTS
from entrepot.control_api.endpoints.schema import schema_endpoint
from entrepot.control_api.endpoints.sessions import SESSION_ENDPOINTS
from entrepot.control_api.endpoints.system_info import SYSTEM_ENDPOINTS
from entrepot.control_api.endpoints.user_accounts import USER_ACCOUNT_ENDPOINTS
from entrepot.control_api.endpoints.user_groups import USER_GROUP_ENDPOINTS
from entrepot.control_api.endpoints.users import USER_ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.control_api.declarations import AnyEndpoint

__all__ = ["all_endpoints"]


def all_endpoints(schema: Callable[[], bytes] = bytes) -> tuple[AnyEndpoint, ...]:
    """Return every endpoint, in the order of the documents.

    Args:
        schema: returns the OpenAPI document, which is made of these very endpoints.
    """
    return (
        *SYSTEM_ENDPOINTS,
        *HEALTH_ENDPOINTS,
        *OVERVIEW_ENDPOINTS,
        *PERMISSION_ENDPOINTS,
        *LOGIN_ENDPOINTS,
        *SESSION_ENDPOINTS,
        *USER_ENDPOINTS,
        *USER_ACCOUNT_ENDPOINTS,
        *ACCOUNT_SWITCH_ENDPOINTS,
        *OWN_PERMISSION_ENDPOINTS,
        *USER_GROUP_ENDPOINTS,
        *GROUP_MEMBER_ENDPOINTS,
        *ACCESS_TOKEN_ENDPOINTS,
        *ROLE_ENDPOINTS,
        *ROLE_ASSIGNMENT_ENDPOINTS,
        *PROJECT_LISTING_ENDPOINTS,
        *PROJECT_ENDPOINTS,
        *PROJECT_SUMMARY_ENDPOINTS,
        *METADATA_ENDPOINTS,
        *MEMBER_ENDPOINTS,
        *REPOSITORY_ENDPOINTS,
        *ROBOT_ENDPOINTS,
        *LABEL_ENDPOINTS,
        *CONFIGURATION_ENDPOINTS,
        *AUDIT_LOG_ENDPOINTS,
        *AUDIT_EXPORT_ENDPOINTS,
        schema_endpoint(schema),
    )
