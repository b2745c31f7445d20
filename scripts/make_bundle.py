#!/usr/bin/env python3
"""Gather everything that a site without network needs to install this version: wheels, hashes, SBOM, installer.

Wheels are for the Python and processor this runs on, exactly those that requirements/runtime.txt names by hash.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from write_sbom import read_wheel, sbom_of

ROOT: Final = Path(__file__).resolve().parent.parent
_PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")


def build_wheel(destination: Path) -> Path:
    """Build this project's wheel with the locked build tools and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(destination)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (wheel,) = destination.glob("entrepot-*.whl")
    return wheel


def pip_requirement() -> str:
    """Return the lines of requirements/build.txt that lock pip, which the installer brings along."""
    lines = (ROOT / "requirements" / "build.txt").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("pip=="))
    end = start + 1
    while end < len(lines) and lines[end].lstrip().startswith("--hash="):
        end += 1
    return "\n".join(lines[start:end]) + "\n"


def download_wheels(requirements: Path, destination: Path) -> None:
    """Fetch the locked wheels; pip refuses any whose hash isn't in the lock."""
    command = [*_PIP, "download", "--require-hashes", "--only-binary", ":all:", "--no-deps"]
    subprocess.run([*command, "-r", str(requirements), "-d", str(destination)], check=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_bundle(bundle: Path) -> None:
    """Write the bundle to an empty or absent folder."""
    shutil.rmtree(bundle, ignore_errors=True)
    wheels = bundle / "wheels"
    wheels.mkdir(parents=True)
    product = build_wheel(wheels)

    requirements = bundle / "requirements.txt"
    locked = (ROOT / "requirements" / "runtime.txt").read_text()
    requirements.write_text(locked + pip_requirement())
    download_wheels(requirements, wheels)
    version = product.name.split("-")[1]
    line = f"entrepot=={version} --hash=sha256:{sha256_of(product)}\n"
    requirements.write_text(requirements.read_text() + line)

    sbom = sbom_of([read_wheel(path) for path in wheels.iterdir()], "entrepot")
    (bundle / "sbom.cdx.json").write_text(sbom)
    shutil.copy(ROOT / "LICENSE", bundle)
    (bundle / "TARGET").write_text(f"{sysconfig.get_python_version()} {sysconfig.get_platform()}\n")
    shutil.copy(ROOT / "scripts" / "bundle-install.sh", bundle / "install.sh")
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    sums = "".join(f"{sha256_of(path)}  {path.relative_to(bundle)}\n" for path in files)
    (bundle / "SHA256SUMS").write_text(sums)
    print(
        f"{bundle}: {len(files)} files, {sum(path.stat().st_size for path in files) >> 20} MiB, for {version}"
    )


if __name__ == "__main__":
    make_bundle(Path(sys.argv[1]))
