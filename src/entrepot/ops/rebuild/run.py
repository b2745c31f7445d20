"""What a rebuild and its rehearsal share: the storage they need, the work itself, and the choice of a journal."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.ops.errors import EXIT_USAGE, RegistryUnusableError
from entrepot.ops.progress import Progress
from entrepot.ops.rebuild.output import print_choice
from entrepot.rebuild.rebuild import Rebuild, RebuildOptions, RebuildProgress
from entrepot.rebuild.survey import summarise_journal
from entrepot.registry.hashing import HashingPool
from entrepot.settings import Settings, storage_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from entrepot.blobstore.driver import BlobStore
    from entrepot.bootstrap import Stores
    from entrepot.metadata.sql.work_file import SqliteWorkFile
    from entrepot.rebuild.errors import ChoiceNeededError
    from entrepot.rebuild.report import RebuildReport

__all__ = ["is_without_storage", "leave_untold", "offer_choice", "require_storage", "run_rebuild"]

_HASHING_THREADS: Final = 4


def is_without_storage(settings: Settings) -> bool:
    """Whether the directory of the blobs is missing; a bucket is asked when it is opened."""
    return settings.storage.driver == "filesystem" and not storage_root(settings).exists()


def require_storage(settings: Settings) -> None:
    """Refuse to make a registry of nothing where a path is mistyped or a disk is not mounted.

    Raises:
        RegistryUnusableError: the storage is missing.
    """
    if is_without_storage(settings):
        raise RegistryUnusableError(
            f"there is no storage to rebuild a database from: no directory {storage_root(settings)}; see --config and "
            "--data"
        )


def leave_untold(_: str) -> None:
    """Leave the steps of a schema untold: there is nothing to migrate in a new database."""


async def run_rebuild(
    stores: Stores, work: SqliteWorkFile, options: RebuildOptions, keep: Callable[[RebuildReport], None]
) -> RebuildReport:
    """Rebuild with bars on standard error; as :meth:`entrepot.rebuild.rebuild.Rebuild.run`."""
    grant = await HostAuthorizer().authorize_registry(host_operator())
    with _hashing_pool() as hashing, _shown_progress() as progress:
        made = Rebuild(stores.metadata, stores.blobs, work, hashing, options)
        return await made.run(grant, progress, keep)


@contextlib.contextmanager
def _hashing_pool() -> Iterator[HashingPool]:
    with ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing") as executor:
        yield HashingPool(executor)


@contextlib.contextmanager
def _shown_progress() -> Iterator[RebuildProgress]:
    """Show two bars, one after the other."""
    bars = [Progress("listing the storage")]

    def advance(count: int) -> None:
        bars[-1].advance(count)

    def begin_journal(total: int) -> None:
        bars[-1].finish()
        bars.append(Progress("replaying the journal", total=total or None))

    yield RebuildProgress(on_objects=advance, on_journal=begin_journal, on_facts=advance)
    bars[-1].finish()


async def offer_choice(blobs: BlobStore, choice: ChoiceNeededError, output: str) -> int:
    """Print the journals that one must be chosen of, and return the exit code for that."""
    print_choice([await summarise_journal(blobs, name) for name in choice.incarnations], output)
    return EXIT_USAGE
