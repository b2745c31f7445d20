"""Small file systems that a test fills up, breaks or makes read-only; mounting needs root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.plumbing.skips import require_program
from tests.processes.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Filler",
    "ext4_volume",
    "memory_volume",
    "remount",
    "repair_ext4",
    "report_damage",
    "snapshot_over",
    "unmount",
]

_BLOCK: Final = 64 * 1024
MIB: Final = 1024 * 1024


class Filler:
    """A file that takes all room of a volume; removing it gives the room back."""

    def __init__(self, volume: Path) -> None:
        self._path = volume / "filler"

    def fill(self) -> None:
        """Take what is left, to the last block."""
        with self._path.open("ab", buffering=0) as file:
            for size in (MIB, _BLOCK, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())

    def empty(self) -> None:
        """Give it back."""
        self._path.unlink()


@contextlib.contextmanager
def memory_volume(directory: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs with these mount options, such as `size=32m`."""
    _mount(directory, "-t", "tmpfs", "-o", options, "tmpfs")
    try:
        yield directory
    finally:
        unmount(directory)


@contextlib.contextmanager
def ext4_volume(
    directory: Path, size_bytes: int, *, make: tuple[str, ...] = (), options: str = ""
) -> Iterator[Path]:
    """Make an ext4 in a file beside `directory` and mount it.

    Args:
        make: more arguments of mkfs.ext4, such as `-N 64` for few inodes.
        options: mount options.
    """
    image = directory.with_name(f"{directory.name}.ext4")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    command = [require_program("mkfs.ext4"), "-q", "-F", "-m", "0", *make, str(image)]
    subprocess.run(command, check=True, capture_output=True)
    _mount(directory, "-o", f"loop,{options}" if options else "loop", str(image))
    try:
        yield directory
    finally:
        unmount(directory)
        image.unlink()


@contextlib.contextmanager
def snapshot_over(volume: Path) -> Iterator[None]:
    """Mount a snapshot of an ext4 over it, in which every file has its inode; who has files open keeps the former."""
    image, copy = volume.with_name(f"{volume.name}.ext4"), volume.with_name(f"{volume.name}.snapshot")
    subprocess.run(["fsfreeze", "--freeze", str(volume)], check=True, capture_output=True)
    try:
        shutil.copy(image, copy)
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(volume)], check=True, capture_output=True)
    _mount(volume, "-o", "loop", str(copy))
    try:
        yield
    finally:
        unmount(volume)
        copy.unlink()


def remount(directory: Path, options: str) -> None:
    """Change the options of a mount, such as `ro`."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(directory)], check=True, capture_output=True)


def report_damage(volume: Path) -> None:
    """Have ext4 behave as after an error it found: with `errors=remount-ro` it takes no more writes."""
    listed = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE", str(volume)],
        check=True,
        capture_output=True,
        text=True,
    )
    name = Path(listed.stdout.strip()).name
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("asked for by a test\n")


def repair_ext4(volume: Path) -> None:
    """Do what a keeper does: unmount, check, mount."""
    image = volume.with_name(f"{volume.name}.ext4")
    unmount(volume)
    # A container that was started meanwhile, by other tests, has a copy of the mount until it ends. As long as there is
    # one the kernel keeps the file system with all that it found, and mounts that one again.
    wait_for(lambda: not _loop_device(image), PATIENCE_SECONDS, lambda: f"{image} is mounted elsewhere")
    checked = subprocess.run(["fsck.ext4", "-f", "-y", str(image)], check=False, capture_output=True)
    assert checked.returncode <= 1
    subprocess.run(["mount", "-o", "loop", str(image), str(volume)], check=True)


def _loop_device(image: Path) -> str:
    """The device that shows a file; empty when there is none any more."""
    listed = subprocess.run(
        ["losetup", "--noheadings", "--output", "NAME", "--associated", str(image)],
        check=True,
        capture_output=True,
        text=True,
    )
    return listed.stdout.strip()


def _mount(directory: Path, *arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("not allowed to mount a file system (needs root)")
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", *arguments, str(directory)], check=True, capture_output=True)


def unmount(directory: Path) -> None:
    """Unmount, which takes until the last thread of the processes that were killed has let go of it."""
    command = ["umount", str(directory)]
    wait_for(
        lambda: subprocess.run(command, check=False, capture_output=True).returncode == 0,
        PATIENCE_SECONDS,
        lambda: f"{directory} is busy",
    )
