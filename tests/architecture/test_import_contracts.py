"""Imports go one way: the contracts hold, and each of them breaks when its fault is planted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source_files import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def check_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the project at `root`."""
    command = [sys.executable, str(ROOT / "scripts" / "check_imports.py"), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Return a project of empty packages in the shape of this one, with our contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    packages = """
        processes distribution_api workers backup transfer registry projects auth events ops oci observability kernel
        settings
        metadata metadata/sql blobstore blobstore/filesystem blobstore/s3 blobstore/memory .
    """
    for package in packages.split():
        folder = tmp_path / "src" / "entrepot" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    for module in ("__main__", "bootstrap", "services"):
        (tmp_path / "src" / "entrepot" / f"{module}.py").touch()
    return tmp_path


def plant(root: Path, module: str, statement: str) -> None:
    """Write one import into a module of a skeleton, created if need be."""
    path = root.joinpath("src", "entrepot", *module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    path.write_text(statement + "\n")


def test_contracts_hold() -> None:
    """Every contract of pyproject.toml holds for the source as it is."""
    checked = check_imports(ROOT)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert " 0 broken" in checked.stdout


RANKS = "Ranks: from the command line down to the kernel"
DRIVERS = "Concrete drivers are named by bootstrap and administrators' commands only"
SETTINGS = "The settings tree is seen by bootstrap, processes and commands only"
PARSER = "The parser of requests belongs to the HTTP server"
EVENT_LOOP = "The event loop belongs to the processes"
SQL = "SQL libraries belong to metadata.sql"
CLOUD = "Cloud libraries belong to blobstore.s3"
HTTP_CLIENT = "The HTTP client belongs to what speaks to other servers"
CRYPTOGRAPHY = "Cryptography belongs to sealed backups and to keys"
PASSWORDS = "Password hashing belongs to people"
TOKENS = "JSON Web Tokens belong to bearer tokens"
POLICIES = "Cedar belongs to decisions"
FRAMEWORK = "The web framework belongs to the control plane"
OCI = "oci knows of no network, disk, database or log"
FAULTS = {
    RANKS: [
        ("kernel", "entrepot.oci"),
        ("registry", "entrepot.services"),
        ("auth", "entrepot.registry"),
        ("auth.decisions", "entrepot.projects"),
        ("control_api", "entrepot.distribution_api"),
        ("client", "entrepot.kernel"),
        ("metadata", "entrepot.blobstore"),
        ("distribution_api", "entrepot.workers"),
        ("events", "entrepot.bootstrap"),
    ],
    PARSER: [("registry", "httptools"), ("processes", "httptools"), ("ops", "httptools")],
    EVENT_LOOP: [("http1", "uvloop"), ("registry", "uvloop"), ("ops", "uvloop")],
    SQL: [
        ("registry", "sqlite3"),
        ("metadata.store", "asyncpg"),
        ("blobstore", "sqlite3"),
        ("ops", "asyncpg"),
    ],
    CLOUD: [("blobstore.filesystem", "aiobotocore"), ("auth", "botocore")],
    HTTP_CLIENT: [("registry", "aiohttp"), ("transfer", "aiohttp"), ("blobstore.filesystem", "yarl")],
    CRYPTOGRAPHY: [("registry", "cryptography"), ("ops", "cryptography"), ("auth.people", "cryptography")],
    PASSWORDS: [("auth", "argon2")],
    TOKENS: [("auth", "joserfc"), ("token_service", "joserfc")],
    POLICIES: [("auth", "cedarpy"), ("projects", "cedarpy")],
    FRAMEWORK: [("distribution_api", "litestar"), ("services", "litestar")],
    DRIVERS: [
        ("registry", "entrepot.metadata.sql"),
        ("workers", "entrepot.blobstore.s3"),
        ("processes", "entrepot.blobstore.memory"),
        ("services", "entrepot.blobstore.filesystem"),
    ],
    SETTINGS: [("__main__", "entrepot.settings"), ("registry", "entrepot.settings")],
    "Blob drivers are independent": [
        ("blobstore.s3.upload", "entrepot.blobstore.filesystem"),
        ("blobstore.memory", "entrepot.blobstore.s3"),
    ],
    OCI: [("oci", "structlog"), ("oci.names", "entrepot.observability"), ("oci.digest", "sqlite3")],
    "No product code imports tests": [("ops", "pytest"), ("registry", "tests"), ("auth", "hypothesis")],
}


@pytest.mark.parametrize("contract", FAULTS)
def test_planted_imports_break_their_contract(skeleton: Path, contract: str) -> None:
    """Imports in the wrong direction break the contract meant for them, and each is named."""
    for module, imported in FAULTS[contract]:
        plant(skeleton, module, f"import {imported}")
    checked = check_imports(skeleton)
    lines = checked.stdout.splitlines()

    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert f"{contract} BROKEN" in lines
    for module, imported in FAULTS[contract]:
        named = [
            line for line in lines if f"entrepot.{module} " in line and re.search(rf"\b{imported}\b", line)
        ]
        assert named != [], (module, imported, checked.stdout)


def test_package_without_a_rank_is_refused(skeleton: Path) -> None:
    """A new top-level package must be given its place in the ranks."""
    plant(skeleton, "attic", "")
    checked = check_imports(skeleton)

    assert f"{RANKS} BROKEN" in checked.stdout


def test_planted_circle_is_found(skeleton: Path) -> None:
    """Two modules of one package that import each other are a circle."""
    plant(skeleton, "registry.blobs", "import entrepot.registry.tags")
    plant(skeleton, "registry.tags", "import entrepot.registry.blobs")
    checked = check_imports(skeleton)

    assert "Siblings never import one another in a circle BROKEN" in checked.stdout


def test_right_imports_are_free(skeleton: Path) -> None:
    """The imports that the ranks exist for break nothing."""
    plant(skeleton, "http1", "import httptools, entrepot.kernel")
    plant(skeleton, "processes", "import uvloop, entrepot.http1, entrepot.settings, entrepot.bootstrap")
    plant(skeleton, "bootstrap", "import entrepot.settings, entrepot.metadata.sql, entrepot.blobstore.s3")
    plant(skeleton, "metadata.sql", "import sqlite3, asyncpg, entrepot.oci")
    plant(skeleton, "blobstore.s3", "import aiobotocore, botocore, entrepot.observability")
    plant(skeleton, "backup", "import cryptography, entrepot.registry")
    plant(skeleton, "registry", "import entrepot.metadata, entrepot.blobstore, entrepot.auth")
    checked = check_imports(skeleton)

    assert checked.returncode == 0, checked.stdout + checked.stderr
