"""Works out what a reload may change: the log level can, the address a socket is bound to can't."""

from __future__ import annotations

from dataclasses import dataclass

from entrepot.settings import Settings, changed_keys, flatten_settings, setting_fields
from entrepot.settings.catalogue import build_settings

__all__ = ["ReloadPlan", "plan_reload"]


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """The settings to go on with, the keys that changed in them, and the changed keys that wait for a restart."""

    settings: Settings
    applied_keys: tuple[str, ...]
    postponed_keys: tuple[str, ...]


def plan_reload(current: Settings, wanted: Settings) -> ReloadPlan:
    """Take over from `wanted` what is marked reloadable in the settings' catalogue, and keep the rest of `current`."""
    reloadable = {field.key for field in setting_fields() if field.setting.reloadable}
    changed = changed_keys(current, wanted)
    values, wanted_values = flatten_settings(current), flatten_settings(wanted)
    applied = tuple(key for key in changed if key in reloadable)
    values.update({key: wanted_values[key] for key in applied})
    return ReloadPlan(build_settings(values), applied, tuple(key for key in changed if key not in reloadable))
