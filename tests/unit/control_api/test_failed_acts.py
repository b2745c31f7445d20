"""What failures of endpoints are called in the audit log."""

from __future__ import annotations

from entrepot.auth.audit_actions import AuditAction
from entrepot.control_api.failed_acts import act_of
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.control_api.routes import all_endpoints


def test_every_change_has_an_act_that_its_failure_is_called_by_i11() -> None:
    """But logins, which whoever checks them records."""
    nameless = {
        endpoint.operation
        for endpoint in all_endpoints()
        if endpoint.method in UNSAFE_METHODS and act_of(endpoint.operation) is AuditAction.ACCESS_DENIED
    }

    assert nameless == {"api.login", "api.session.create"}
