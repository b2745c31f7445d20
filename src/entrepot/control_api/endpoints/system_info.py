"""Whether the registry is there, and what it tells about itself: a little to everybody, more to those it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Anyone, Public
from entrepot.control_api.names import format_time
from entrepot.control_api.reply import json_reply, text_reply

if TYPE_CHECKING:
    from entrepot.control_api.credentials import Caller
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices, SystemFacts

__all__ = ["HARBOR_LEVEL", "SYSTEM_ENDPOINTS", "GeneralInfo"]

HARBOR_LEVEL: Final = "v2.15.2"
"""The release of Harbor whose API this is. Clients read it as a version to know what they may call."""


class GeneralInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the registry tells about itself; what is for people it knows is absent for others."""

    auth_mode: str
    primary_auth_mode: bool
    self_registration: bool
    banner_message: str = ""
    current_time: str = ""
    registry_url: str = ""
    external_url: str = ""
    project_creation_restriction: str = ""
    has_ca_root: bool | None = None
    harbor_version: str = ""
    registry_storage_provider_name: str = ""
    read_only: bool | None = None
    notification_enable: bool | None = None


async def get_ping(_services: ControlServices, _call: Call[None, NoInputs, NoBody]) -> Reply:
    """Answer that the registry is there."""
    return text_reply("Pong")


async def get_system_info(services: ControlServices, call: Call[Caller, NoInputs, NoBody]) -> Reply:
    """Answer with what the one who asks may know."""
    facts = await services.system.current()
    if call.grant.principal.kind == "anonymous":
        return json_reply(_for_anybody(facts))
    return json_reply(_for_known(facts, call.head.header("host")))


def _for_anybody(facts: SystemFacts) -> GeneralInfo:
    return GeneralInfo(
        "db_auth", primary_auth_mode=False, self_registration=False, banner_message=facts.banner
    )


def _for_known(facts: SystemFacts, host: str) -> GeneralInfo:
    return msgspec.structs.replace(
        _for_anybody(facts),
        current_time=format_time(facts.now),
        registry_url=urlsplit(facts.external_url).netloc or host,
        external_url=facts.external_url,
        project_creation_restriction=facts.project_creation,
        has_ca_root=False,
        harbor_version=f"{HARBOR_LEVEL}-entrepot.{facts.version}",
        registry_storage_provider_name=facts.storage,
        read_only=facts.read_only,
        notification_enable=False,
    )


SYSTEM_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/ping",
        operation="api.ping",
        operation_id="getPing",
        tag="ping",
        summary="Whether the registry is there. Answers `Pong`.",
        demand=Public,
        handler=get_ping,
        inputs=NoInputs,
        body=NoBody,
        result=str,
        result_media="text/plain",
    ),
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/systeminfo",
        operation="api.system-info.read",
        operation_id="getSystemInfo",
        tag="systeminfo",
        summary="What the registry tells about itself; version, addresses and storage only to those it knows.",
        demand=Anyone(who="at all"),
        handler=get_system_info,
        inputs=NoInputs,
        body=NoBody,
        result=GeneralInfo,
    ),
)
