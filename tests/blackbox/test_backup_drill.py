"""The restore drill with real clients: one kind of registry is backed up while it runs, and comes back as another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.blackbox.material.layouts import read_layout
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server


def _backup(registry: RunningEntrepot, *words: str, environment: dict[str, str]) -> Any:
    """Run a backup command beside a registry, on its settings, as a process of its own."""
    settings = registry.data_directory.parent / "entrepot.toml"
    finished = subprocess.run(
        [sys.executable, "-m", "entrepot", "backup", *words, "--config", str(settings), "-o", "json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return json.loads(finished.stdout)


def test_a_registry_moves_from_disk_to_bucket_and_back(
    skopeo: Program, material: Material, postgres_server: PostgresServer, s3_server: S3Server, tmp_path: Path
) -> None:
    """SQLite + disk → PostgreSQL + S3, by a sealed backup in a bucket; back by one on a disk; the same bytes again."""
    bucket = {
        "endpoint": s3_server.endpoint_url,
        "access_key": s3_server.access_key_id,
        "secret_key": s3_server.secret_access_key,
    }
    environment = {f"ENTREPOT_BACKUP_S3_{key.upper()}": value for key, value in bucket.items()}
    environment |= {
        "ENTREPOT_BACKUP_TARGET": f"s3://{s3_server.bucket}/drill-backups",
        "ENTREPOT_BACKUP_PASSPHRASE": "three copies, two media, one elsewhere",
    }
    with RunningEntrepot(tmp_path / "first") as first:
        _push(skopeo, material, first, "drill/app")
        assert _backup(first, "create", environment=environment)["complete"]
        assert _backup(first, "create", environment=environment)["new_blobs"] == 0
    assert _backup(first, "verify", environment=environment)[0]["report"]["problems"] == []

    cluster = RunningEntrepot(
        tmp_path / "cluster",
        settings={
            "metadata": {"url": postgres_server.create_database()},
            "storage": {"driver": "s3"},
            "storage.s3": {**bucket, "bucket": s3_server.bucket, "prefix": "drill-blobs/"},
        },
    )
    cluster.write_settings()
    _backup(cluster, "restore", environment=environment)
    on_disk = ("--to", str(tmp_path / "backups"))
    with cluster:
        assert _pulled(skopeo, cluster, "drill/app", tmp_path / "second") == read_layout(
            material.small_layout
        )
        # Pushed to at once: the numbers of rows go on where they ended.
        _push(skopeo, material, cluster, "drill/later")
        assert _backup(cluster, "create", *on_disk, environment={})["complete"]

    third = RunningEntrepot(tmp_path / "third")
    third.write_settings()
    _backup(third, "restore", "--from", on_disk[1], environment={})
    with third:
        for name in ("app", "later"):
            assert _pulled(skopeo, third, f"drill/{name}", tmp_path / name) == read_layout(
                material.small_layout
            )


def _push(skopeo: Program, material: Material, registry: RunningEntrepot, name: str) -> None:
    skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
               f"oci:{material.small_layout}:multi", f"docker://{registry.host}/{name}:multi")  # fmt: skip


def _pulled(
    skopeo: Program, registry: RunningEntrepot, name: str, directory: Path
) -> tuple[str, dict[str, bytes]]:
    skopeo.run("copy", "--all", "--preserve-digests", "--src-tls-verify=false",
               f"docker://{registry.host}/{name}:multi", f"oci:{directory}:multi")  # fmt: skip
    return read_layout(directory)
