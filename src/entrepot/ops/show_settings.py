"""``entrepot settings show``: what a node would run with, and where each value comes from."""

from __future__ import annotations

import sys
from typing import Final

from entrepot.ops.options import ConfigOption, DataOption, ListenOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json, format_table
from entrepot.settings import LoadedSettings, Secret, flatten_settings, setting_fields, show_value

_OTHER_READ_ONLY: Final = (
    "registry.read_only is this node's own; the configuration read_only, which is in the database, holds as well: "
    "entrepot doctor and entrepot config show tell it."
)

__all__ = ["describe_settings", "show_settings"]


def show_settings(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    listen: ListenOption = None,
    output: OutputOption = "text",
) -> int:
    """Show the effective settings and where each comes from; secrets are masked."""
    loaded = load_command_settings(config, make_flags(data, listen))
    print(format_json(describe_settings(loaded)) if output == "json" else _render_table(loaded))
    if loaded.settings.access.accounts and not loaded.settings.registry.read_only and output != "json":
        print(_OTHER_READ_ONLY, file=sys.stderr)
    return 0


def _render_table(loaded: LoadedSettings) -> str:
    values = flatten_settings(loaded.settings)
    rows = [
        (field.key, show_value(field, values[field.key]), str(loaded.origins[field.key]))
        for field in setting_fields()
    ]
    return format_table(("KEY", "VALUE", "ORIGIN"), rows)


def describe_settings(loaded: LoadedSettings) -> dict[str, object]:
    """Return every setting with value, origin and whether it is secret, as plain values; secrets are masked."""
    values = flatten_settings(loaded.settings)
    rows: list[dict[str, object]] = []
    for field in setting_fields():
        value, origin = values[field.key], loaded.origins[field.key]
        plain = value if isinstance(value, (bool, int, float)) else show_value(field, value)
        rows.append(
            {
                "key": field.key,
                "value": plain,
                "secret": isinstance(value, Secret),
                "reloadable": field.setting.reloadable,
                "origin": {"kind": origin.kind, "detail": origin.detail},
            }
        )
    return {"config_file": str(loaded.config_file or ""), "settings": rows}
