"""Starts the real parent with the test application: `python -m tests.processes.serve <settings file>`."""

from __future__ import annotations

import sys
from pathlib import Path

from entrepot.processes import parent
from entrepot.processes.factories import Factories
from entrepot.settings import Settings, load_settings

FACTORIES = Factories(
    http_application="tests.processes.applications:build_http_application",
    http_successor="tests.processes.applications:build_http_application",
    background_worker="tests.processes.applications:build_background_worker",
    health_probes="tests.processes.applications:build_health_probes",
)


def _load(path: Path) -> Settings:
    return load_settings(environment={}, user_id=0, config_file=path).settings


if __name__ == "__main__":
    file = Path(sys.argv[1])
    sys.exit(parent.run(_load(file), reload_settings=lambda: _load(file), factories=FACTORIES))
