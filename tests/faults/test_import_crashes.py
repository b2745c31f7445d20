"""F1: an import is killed at every failpoint; what is left keeps its promises, and a second run completes it.

The passes are found by an undisturbed import first, so a new step in the code is tried without being listed here.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.kernel.failpoints import Failpoint
from entrepot.oci.digest import Digest
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image, index
from tests.faults.forks import ForkServer, Outcome
from tests.faults.import_crash_server import ImportOrder
from tests.faults.invariants import check_stored_bytes
from tests.integration.importing import TreeWriter
from tests.plumbing.evidence import LongRun, write_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOBS = (b'{"architecture":"amd64","os":"linux"}', b"layer" * 100)
_COVERS = ("src/entrepot/transfer", "src/entrepot/registry", "src/entrepot/blobstore")
_PASSED = {
    Failpoint.STAGED_FILE_CREATED,
    Failpoint.STAGED_BYTES_SYNCED,
    Failpoint.BLOB_RENAMED,
    Failpoint.BLOB_DIRECTORY_SYNCED,
    Failpoint.BLOB_COMMITTED,
    Failpoint.OBJECT_RENAMED,
    Failpoint.MANIFEST_BYTES_STORED,
    Failpoint.MANIFEST_COMMITTED,
    Failpoint.JOURNAL_WRITTEN,
    Failpoint.UNIT_BEFORE_COMMIT,
    Failpoint.UNIT_AFTER_COMMIT,
}
"""What every import passes, whichever way the bytes come."""


class ImportServer(ForkServer):
    """The process that forks imports."""

    def __init__(self, log: Path) -> None:
        super().__init__("tests.faults.import_crash_server", log)

    def run(self, arguments: list[str], failpoints: str = "") -> Outcome:
        """Run `entrepot` with these arguments."""
        return self.order(ImportOrder(arguments, failpoints))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ImportServer]:
    """One server for all crashes of a test."""
    started = ImportServer(tmp_path / "stderr")
    yield started
    started.close()


@pytest.fixture
def tree(tmp_path: Path) -> TreeWriter:
    """A tree with an image in two repositories and an index of it."""
    made = TreeWriter(tmp_path / "tree")
    for repository in ("one", "two"):
        made.add_image(repository, "v1", blobs=BLOBS)
    made.add_manifest("one", index(image()), "multi")
    return made


def _arguments(tree: TreeWriter, data: Path, link: str) -> list[str]:
    return [
        *("import", "--from-distribution", str(tree.root), "--data", str(data)),
        *("--config", "/dev/null", "--link", link, "--parallel", "1", "-o", "json"),
    ]


async def _examine(data: Path, tree: TreeWriter) -> None:
    """I2, I3: whatever manifest can be read is whole, bytes hash to their names, and the source is as it was."""
    settings = scratch_settings(data)
    async with in_process_registry(settings) as registry:
        for repository, tag in (("one", "v1"), ("one", "multi"), ("two", "v1")):
            reply = await registry.client.request("GET", f"/v2/{repository}/manifests/{tag}")
            assert reply.status in {200, 404}
            for blob in BLOBS if reply.status == 200 else ():
                pulled = await registry.client.request(
                    "GET", f"/v2/{repository}/blobs/{Digest.of_bytes(blob)}"
                )
                assert (pulled.status, pulled.body) == (200, blob), "I2: a readable manifest lacks a blob"
    async with open_stores(settings) as stores:
        await check_stored_bytes(stores.blobs)
    for blob in BLOBS:
        assert tree.data(blob).read_bytes() == blob, "the source was changed"


def _kill_everywhere(
    server: ImportServer, tree: TreeWriter, directory: Path, link: str, subtests: pytest.Subtests
) -> dict[str, int]:
    """Kill an import at the last pass of each failpoint, then let the next one come to its end; return the passes.

    The last pass is where most is there already: both blobs, or the manifest without its tag.
    """
    passes = _count_passes(server, tree, directory, link)
    for name, turns in passes.items():
        if turns:
            with subtests.test(f"{name}:{turns}"):
                _kill_and_repeat(server, tree, directory, link, f"{name}:{turns}")
    return passes


def _count_passes(server: ImportServer, tree: TreeWriter, directory: Path, link: str) -> dict[str, int]:
    """Import undisturbed once, into a registry whose schema is there; return how often each failpoint was passed."""
    made = server.run(_arguments(TreeWriter(directory / "nothing"), directory / "empty", "never"))
    assert made.exit_code == 0
    shutil.copytree(directory / "empty", directory / "whole")
    whole = server.run(_arguments(tree, directory / "whole", link))
    assert (whole.signal, whole.exit_code) == (0, 0)
    return whole.passes


def _kill_and_repeat(server: ImportServer, tree: TreeWriter, directory: Path, link: str, at: str) -> None:
    data = directory / "killed"
    shutil.copytree(directory / "empty", data)
    killed = server.run(_arguments(tree, data, link), at)
    assert killed.signal == signal.SIGKILL
    asyncio.run(_examine(data, tree))

    again = server.run(_arguments(tree, data, link))

    # The import has compared every tag and manifest by itself.
    assert (again.signal, again.exit_code) == (0, 0), "I7: the repeated import did not converge"
    shutil.rmtree(data)


def test_f1_an_import_killed_at_any_step_is_completed_by_the_next(
    server: ImportServer, tree: TreeWriter, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """I2, I3 and I7 after each kill, with files hard-linked; run again, the import comes to its end (F1)."""
    passes = _kill_everywhere(server, tree, tmp_path, "always", subtests)

    assert {name for name in Failpoint if passes[name]} >= _PASSED


@pytest.mark.long
@pytest.mark.parametrize("link", ["always", "never"])
def test_f1_an_import_killed_at_every_pass_is_completed_by_the_next(
    server: ImportServer, tree: TreeWriter, tmp_path: Path, link: str, rotating_seed: int
) -> None:
    """The same at every pass of every failpoint, with files linked and copied (F1)."""
    run = LongRun(rotating_seed)
    passes = _count_passes(server, tree, tmp_path, link)
    for name, turns in passes.items():
        for turn in range(1, turns + 1):
            _kill_and_repeat(server, tree, tmp_path, link, f"{name}:{turn}")

    facts = {"link": link, "kills": sum(passes.values()), "passes": passes}
    write_evidence(f"import-crashes-{link}", facts, run, covers=_COVERS)
