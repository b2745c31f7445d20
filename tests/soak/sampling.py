"""What a running registry holds, looked at from outside again and again."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from entrepot.processes.assignment import Role
from tests.running.process_resources import open_files, proportional_bytes, resident_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running.entrepot import RunningEntrepot

__all__ = ["Sample", "Sampler"]

Sample = dict[str, float]
"""Values by name: `<role>.rss_bytes`, `<role>.pss_bytes`, `<role>.descriptors`, `wal_bytes` and so on."""

_METRICS: Final = ("registry_orphans", "registry_journal_backlog")
_COUNTS: Final = {
    "rows.links": "SELECT count(*) FROM repository_blobs",
    "rows.live_manifests": "SELECT count(*) FROM manifests WHERE state = 'live'",
    "rows.tags": "SELECT count(*) FROM tags",
    "rows.upload_sessions": "SELECT count(*) FROM upload_sessions",
    "rows.blobs": "SELECT count(*) FROM blobs",
    "rows.manifests": "SELECT count(*) FROM manifests",
    "rows.manifest_references": "SELECT count(*) FROM manifest_references",
    "rows.facts": "SELECT count(*) FROM outbox",
    "rows.tag_history": "SELECT count(*) FROM tag_history",
    "rows.audit_records": "SELECT count(*) FROM audit_records",
    "database.used_pages": "SELECT page_count FROM pragma_page_count()",
}


class Sampler:
    """Takes samples of one registry on SQLite and disk. The counts of rows cost most and are taken now and then."""

    def __init__(self, registry: RunningEntrepot, rows_every: int) -> None:
        self._registry = registry
        self._rows_every = rows_every
        self._database = registry.data_directory / "metadata" / "entrepot.db"
        self._began_at = time.monotonic()
        self.samples: list[Sample] = []

    def take(self) -> None:
        """Add one sample."""
        sample: Sample = {"seconds": round(time.monotonic() - self._began_at, 1)}
        for name, pid in self._processes().items():
            resident, proportional = proportional_bytes(pid)
            sample[f"{name}.rss_bytes"] = resident
            sample[f"{name}.anonymous_bytes"] = resident_bytes(pid)
            sample[f"{name}.pss_bytes"] = proportional
            sample[f"{name}.descriptors"] = len(open_files(pid))
        sample["database_bytes"] = self._database.stat().st_size
        sample["wal_bytes"] = _size(self._database.with_name(f"{self._database.name}-wal"))
        sample.update(self._metrics())
        if len(self.samples) % self._rows_every == 0:
            sample.update(self._rows())
            sample["storage_bytes"] = _tree_bytes(self._registry.data_directory / "storage")
        self.samples.append(sample)

    def _processes(self) -> dict[str, int]:
        roles = {str(role): self._registry.pid(role) for role in Role}
        return {"parent": self._registry.parent.pid, **roles}

    def _metrics(self) -> Sample:
        status, text = self._registry.get_ops("/metrics")
        assert status == 200
        found = dict(re.findall(r"^(\w+) ([-+.e\d]+)$", text.decode(), re.MULTILINE))
        return {name: float(found[name]) for name in _METRICS if name in found}

    def _rows(self) -> Sample:
        address = f"file:{self._database}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            return {name: connection.execute(query).fetchone()[0] for name, query in _COUNTS.items()}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tree_bytes(directory: Path) -> int:
    """Return the bytes of all files, of those that are still there when they are looked at."""
    total, waiting = 0, [str(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return total
