"""What we hand out installs elsewhere: the bundle where there is no network, the wheel with plain pip."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.plumbing.skips import require_program

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


def without_network(*command: str | Path) -> list[str | Path]:
    """Return the command line that runs a command in a network namespace of its own, with loopback only."""
    unshare = [require_program("unshare"), "--net"]
    if os.geteuid() != 0:
        unshare.insert(1, "--map-root-user")
    return [*unshare, sys.executable, HERE / "without_network.py", *command]


def run(*command: str | Path, **environment: str) -> str:
    """Run a command to its good end and return what it printed."""
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment}
    completed = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle made from this checkout, as `make bundle` makes it."""
    bundle = tmp_path_factory.mktemp("bundle") / "bundle"
    script = ROOT / "scripts" / "make_bundle.py"
    made = subprocess.run([sys.executable, script, bundle], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return bundle


@pytest.fixture(scope="module")
def installation(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the bundle was installed without network."""
    directory = tmp_path_factory.mktemp("opt") / "entrepot"
    python = Path(sys.executable).resolve()
    run(*without_network(bundle / "install.sh", directory), PYTHON=str(python))
    return directory


def our_version() -> str:
    """Return the version that pyproject.toml states."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_namespace_has_no_network() -> None:
    """The namespace of these tests reaches nothing, or the tests below would prove nothing."""
    probe = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"
    completed = subprocess.run(
        without_network(sys.executable, "-c", probe), capture_output=True, text=True, check=False
    )

    assert "Network is unreachable" in completed.stderr


def test_bundle_installs_without_network(installation: Path) -> None:
    """The installed command runs and states the version that was bundled."""
    assert our_version() in run(*without_network(installation / "bin" / "entrepot", "version"))


def test_tampered_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    """One changed byte in any file, and nothing is installed."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    wheel = next(copy.glob("wheels/msgspec-*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"\x00\x00")
    environment = {**os.environ, "PYTHON": str(Path(sys.executable).resolve())}
    command = [copy / "install.sh", tmp_path / "opt"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert completed.returncode != 0
    assert wheel.name in completed.stdout + completed.stderr
    assert not (tmp_path / "opt").exists()


def test_wheel_with_another_hash_is_refused_by_pip(bundle: Path, tmp_path: Path) -> None:
    """Whoever changes a wheel and SHA256SUMS alike is still stopped by the hash in requirements.txt."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    wheel = next(copy.glob("wheels/msgspec-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\x00")
    sums = copy / "SHA256SUMS"
    sums.write_text(
        "".join(line for line in sums.read_text().splitlines(keepends=True) if "msgspec" not in line)
    )
    environment = {**os.environ, "PYTHON": str(Path(sys.executable).resolve())}
    command = [copy / "install.sh", tmp_path / "opt"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert completed.returncode != 0
    assert "DO NOT MATCH THE HASHES" in completed.stderr


def test_bill_of_materials_lists_every_wheel(bundle: Path) -> None:
    """Each wheel is a component with its own hash and a licence; the product depends on what it declares."""
    sbom: dict[str, Any] = json.loads((bundle / "sbom.cdx.json").read_text())
    product: dict[str, Any] = sbom["metadata"]["component"]
    components: list[dict[str, Any]] = [product, *sbom["components"]]
    listed = {
        component["properties"][0]["value"]: component["hashes"][0]["content"] for component in components
    }
    sums = {line[66:]: line[:64] for line in (bundle / "SHA256SUMS").read_text().splitlines()}
    wheels = {path.name: sums[f"wheels/{path.name}"] for path in (bundle / "wheels").iterdir()}
    depends = {entry["ref"]: entry["dependsOn"] for entry in sbom["dependencies"]}

    assert listed == wheels
    assert [component["name"] for component in components if not component["licenses"]] == []
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert product["purl"] == f"pkg:pypi/entrepot@{our_version()}"
    assert {"pkg:pypi/httptools", "pkg:pypi/msgspec"} <= {
        ref.split("@")[0] for ref in depends[product["bom-ref"]]
    }


def test_wheel_is_reproducible(tmp_path: Path) -> None:
    """The same source gives the same wheel, byte for byte."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wheels: list[bytes] = []
    for attempt in ("first", "second"):
        destination = tmp_path / attempt
        build: list[str | Path] = [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-t",
            "wheel",
            "-d",
            destination,
        ]
        subprocess.run(build, cwd=source, check=True, capture_output=True)
        wheels.append(next(destination.glob("*.whl")).read_bytes())

    assert wheels[0] == wheels[1]


def test_wheel_installs_with_plain_pip(bundle: Path, tmp_path: Path) -> None:
    """The wheel's own metadata is enough for pip to find all it needs, in an empty environment, without our lock."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--isolated", "--python", venv / "bin" / "python"]
    # What pip would compile there is compiled by whoever runs it first.
    run(
        *pip,
        "install",
        "--quiet",
        "--no-compile",
        "--no-index",
        "--find-links",
        bundle / "wheels",
        "entrepot",
    )

    assert our_version() in run(venv / "bin" / "entrepot", "version")


@contextmanager
def serving(installation: Path, data: Path) -> Iterator[int]:
    """Run the installed registry without network; yield its process id."""
    command = without_network(
        installation / "bin" / "entrepot", "serve", "--listen", "127.0.0.1:5000", "--data", data
    )
    log = data.with_suffix(".log")
    environment = {**os.environ, "ENTREPOT_ACCESS_ACCOUNTS": "false"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            print(log.read_text()[-4000:])  # noqa: T201 - shown by pytest when the test fails


FETCH = """
import sys, urllib.request
sys.stdout.write(str(urllib.request.urlopen("http://127.0.0.1:5000/v2/", timeout=5).status))
"""


def test_installed_registry_answers_without_network(installation: Path, tmp_path: Path) -> None:
    """`entrepot serve` from the bundle answers /v2/ where only loopback exists."""
    enter = require_program("nsenter")
    with serving(installation, tmp_path / "data") as process_id:
        deadline = time.monotonic() + 60
        status = ""
        while status != "200" and time.monotonic() < deadline:
            fetch = [enter, "--net", "--target", str(process_id), sys.executable, "-c", FETCH]
            status = subprocess.run(fetch, capture_output=True, text=True, check=False).stdout
            time.sleep(0.2)

    assert status == "200"
