"""Applies one fact within a unit, through the rows that pushes and deletes write through.

What a fact brings is left out when not all of it is there (I2); a tag that pointed at such a manifest is removed rather
than left where it pointed before, since an old image under a new name would be worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from entrepot.metadata.rebuild_work import Loss, LostTag
from entrepot.metadata.records import NewBlob
from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName
from entrepot.rebuild.facts import (
    BlobLinked,
    BlobUnlinked,
    ManifestDeleted,
    ManifestPut,
    RepositoryCreated,
    RepositoryDeleted,
    TagDeleted,
)
from entrepot.registry.pushes.manifests import manifest_row, references_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.rebuild_work import Content, RebuildWork
    from entrepot.metadata.records import ImageReference, RepositoryRow
    from entrepot.metadata.store import Transaction
    from entrepot.rebuild.steps import Step

__all__ = ["FactApplication", "Outcome"]

_NAMED: Final = 3
"""How many missing things a reason names."""


@dataclass(slots=True)
class Outcome:
    """What a step could not do, and what it did that an earlier one could not."""

    losses: list[Loss] = field(default_factory=list[Loss])
    regained: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    lost_tags: list[LostTag] = field(default_factory=list[LostTag])
    regained_tags: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    all_tags_of: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    deleted_repositories: list[str] = field(default_factory=list[str])

    def regain(self, what: str, repository: str, digest: str) -> None:
        """Forget that something is missing, or stays though it was deleted: it was pushed, or deleted, again."""
        self.regained += [(what, repository, digest), ("deletion", repository, digest)]

    def write_to(self, work: RebuildWork) -> None:
        """Keep it."""
        for repository in self.deleted_repositories:
            work.regain_repository(repository)
        for what, repository, digest in self.regained:
            work.regain(what, repository, digest)
        for repository, digest in self.all_tags_of:
            work.regain_tags_of(repository, digest)
        for repository, tag in self.regained_tags:
            work.regain_tag(repository, tag)
        for loss in self.losses:
            work.lose(loss)
        for lost in self.lost_tags:
            work.lose_tag(lost)


class FactApplication:
    """Applies the steps of one unit."""

    def __init__(self, tx: Transaction, dead: frozenset[Digest], *, sparse: bool) -> None:
        """Take a transaction, and whose rows in it name bytes that are gone.

        `sparse` tells whether an index may list what its repository does not have, as the setting for pushes does.
        """
        self._tx = tx
        self._dead = dead
        self._sparse = sparse

    async def apply(self, step: Step) -> Outcome:
        """Do what the fact tells; facts that change no content do nothing."""
        outcome = Outcome()
        change = step.change
        if isinstance(change, BlobLinked):
            await self._link(step, change, outcome)
        elif isinstance(change, BlobUnlinked):
            await self._unlink(step, change, outcome)
        elif isinstance(change, ManifestPut):
            await self._put(step, change, outcome)
        elif isinstance(change, ManifestDeleted):
            await self._delete_manifest(step, change, outcome)
        elif isinstance(change, TagDeleted):
            await self._delete_tag(step, change, outcome)
        elif isinstance(change, RepositoryCreated):
            await self._repository(step)
        elif isinstance(change, RepositoryDeleted):
            await self._delete_repository(step, outcome)
        return outcome

    async def is_to_be_repeated(self, step: Step) -> bool:
        """Whether a fact that the database knows may have been done in part, for want of earlier ones.

        A push may lack its manifest, or tags of it; what was deleted may be there, as something needed it. What was set
        aside as damaged is there.
        """
        change = step.change
        repository = await self._tx.repositories.find(step.line.repository)
        if isinstance(change, ManifestPut):
            digest = Digest.parse(change.digest)
            return (
                repository is None
                or await self._tx.manifests.hold(repository.id, digest) is None
                or not await self._tx.manifests.absent_from(repository.id, [digest])
            )
        if repository is None or not isinstance(change, ManifestDeleted | BlobUnlinked):
            return False
        digest = Digest.parse(change.digest)
        if isinstance(change, ManifestDeleted):
            return await self._tx.manifests.hold(repository.id, digest) is not None
        blob_id = await self._tx.blobs.hold_link(repository.id, digest)
        # A manifest that was pushed later may have linked it again: that is no loss.
        return blob_id is not None and not await self._tx.references.manifests_with_blob(
            repository.id, blob_id, digest, 1
        )

    async def _link(self, step: Step, change: BlobLinked, outcome: Outcome) -> None:
        digest = Digest.parse(change.digest)
        repository = await self._repository(step)
        content = step.blobs.get(digest)
        if content is None:
            reason = f"the storage holds no sound copy of its {change.size} bytes"
            outcome.losses.append(Loss("blob", repository.name, change.digest, reason))
            return
        await self._link_content(step, repository.id, content)
        outcome.regain("blob", repository.name, change.digest)

    async def _link_content(self, step: Step, repository_id: int, content: Content) -> None:
        blob = NewBlob(content.digest, content.size_bytes, content.storage_key, step.line.actor)
        adopted = await self._tx.blobs.adopt(blob)
        if adopted.storage_key != content.storage_key and content.digest in self._dead:
            await self._tx.replay.repoint_blob(content.digest, content.storage_key)
        await self._tx.blobs.link(repository_id, adopted.id, step.line.actor)
        if step.line.at_milliseconds is not None:
            await self._tx.replay.date_link(repository_id, adopted.id, step.line.at_milliseconds)

    async def _unlink(self, step: Step, change: BlobUnlinked, outcome: Outcome) -> None:
        outcome.regain("blob", step.line.repository, change.digest)
        digest = Digest.parse(change.digest)
        repository = await self._tx.repositories.find(step.line.repository)
        blob_id = None if repository is None else await self._tx.blobs.hold_link(repository.id, digest)
        if repository is None or blob_id is None:
            return
        users = await self._tx.references.manifests_with_blob(repository.id, blob_id, digest, _NAMED)
        if users:
            outcome.losses.append(_kept(repository.name, digest, users))
        else:
            await self._tx.blobs.unlink(repository.id, blob_id)

    async def _put(self, step: Step, change: ManifestPut, outcome: Outcome) -> None:
        digest = Digest.parse(change.digest)
        repository = await self._repository(step)
        # A database that is brought up to date may have the bytes that the storage has lost.
        is_there = (step.push is None or step.may_be_there) and not await self._tx.manifests.absent_from(
            repository.id, [digest]
        )
        problem = "" if is_there else await self._put_row(step, repository.id, digest)
        for tag in sorted(change.tags):
            if problem:
                await self._tx.tags.remove(repository.id, tag, step.line.actor)
                outcome.lost_tags.append(LostTag(repository.name, tag, change.digest))
            else:
                await self._set_tag(step, repository.id, tag, digest)
                outcome.regained_tags.append((repository.name, tag))
        if problem:
            outcome.losses.append(Loss("manifest", repository.name, change.digest, problem))
        else:
            outcome.regain("manifest", repository.name, change.digest)

    async def _put_row(self, step: Step, repository_id: int, digest: Digest) -> str:
        """Put the manifest and return nothing, or what it lacks."""
        push = step.push
        if push is None:
            return step.problem
        references = references_of(push.parsed, sparse=self._sparse)
        missing = await self._missing(step, repository_id, references)
        if missing:
            named = ", ".join(map(str, missing[:_NAMED]))
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            return f"it refers to what is not there: {named}{more}"
        known = await self._tx.manifests.body_key(digest, push.body)
        row = manifest_row(push, references, repository_id, digest, known or step.key, step.line.actor)
        await self._tx.manifests.put(replace(row, fresh_copy=known is None))
        if step.line.at_milliseconds is not None:
            await self._tx.replay.date_manifest(repository_id, digest, step.line.at_milliseconds)
        return ""

    async def _missing(
        self, step: Step, repository_id: int, references: Sequence[ImageReference]
    ) -> Sequence[Digest]:
        """Return what the manifest needs and the repository lacks, after linking what the storage has.

        Links wait for the next segment of the journal, so the last ones before a loss are not told of; the manifest,
        whose push was refused without them, tells.
        """
        required = {reference.digest for reference in references if reference.required}
        blobs = [reference.digest for reference in references if reference.kind != "manifest"]
        children = [reference.digest for reference in references if reference.kind == "manifest"]
        missing: list[Digest] = []
        absent = set(await self._tx.blobs.absent_from(repository_id, blobs))
        for digest in sorted((absent | self._dead.intersection(blobs)) & required):
            content = step.blobs.get(digest)
            if content is None:
                missing.append(digest)
            else:
                await self._link_content(step, repository_id, content)
        missing += [
            digest
            for digest in await self._tx.manifests.absent_from(repository_id, children)
            if digest in required
        ]
        return missing

    async def _set_tag(self, step: Step, repository_id: int, tag: str, digest: Digest) -> None:
        previous = await self._tx.tags.put(repository_id, tag, digest, step.line.actor)
        if previous != digest and step.line.at_milliseconds is not None:
            await self._tx.replay.date_tag(repository_id, tag, step.line.at_milliseconds)

    async def _delete_manifest(self, step: Step, change: ManifestDeleted, outcome: Outcome) -> None:
        name, digest = step.line.repository, Digest.parse(change.digest)
        outcome.regain("manifest", name, change.digest)
        outcome.all_tags_of.append((name, change.digest))
        outcome.regained_tags += [(name, tag) for tag in change.tags]
        repository = await self._tx.repositories.find(name)
        if repository is None:
            return
        manifest_id = await self._tx.manifests.hold(repository.id, digest)
        if manifest_id is not None:
            await self._condemn(step, repository, manifest_id, digest, outcome)
        # Those that it names went with it, also where they point elsewhere since a push of it is not in the journal.
        for tag in sorted(change.tags):
            await self._remove_tag(step, repository.id, tag)

    async def _condemn(
        self, step: Step, repository: RepositoryRow, manifest_id: int, digest: Digest, outcome: Outcome
    ) -> None:
        """Delete a manifest that nothing needs, and every tag that points at it."""
        indexes = await self._tx.references.indexes_with_manifest(repository.id, manifest_id, digest, _NAMED)
        if indexes:
            outcome.losses.append(_kept(repository.name, digest, indexes))
        else:
            # When it was condemned stays now: what can still be restored shall be so for the whole of its time.
            await self._tx.manifests.condemn(manifest_id)
        tags = await self._tx.tags.remove_all_of(repository.id, manifest_id, digest, step.line.actor)
        if step.line.at_milliseconds is not None:
            for tag in tags:
                await self._tx.replay.date_tag(repository.id, tag, step.line.at_milliseconds)

    async def _delete_tag(self, step: Step, change: TagDeleted, outcome: Outcome) -> None:
        name = step.line.repository
        outcome.regained_tags.append((name, change.tag))
        repository = await self._tx.repositories.find(name)
        if repository is not None:
            await self._remove_tag(step, repository.id, change.tag)

    async def _remove_tag(self, step: Step, repository_id: int, tag: str) -> None:
        removed = await self._tx.tags.remove(repository_id, tag, step.line.actor)
        if removed is not None and step.line.at_milliseconds is not None:
            await self._tx.replay.date_tag(repository_id, tag, step.line.at_milliseconds)

    async def _delete_repository(self, step: Step, outcome: Outcome) -> None:
        if step.problem:
            outcome.losses.append(Loss("deletion", step.line.repository, "", step.problem))
            return
        outcome.deleted_repositories.append(step.line.repository)
        repository_id = await self._tx.project_repositories.hold_named(step.line.repository)
        if repository_id is not None:
            await self._tx.project_repositories.delete(repository_id, step.line.actor)

    async def _repository(self, step: Step) -> RepositoryRow:
        name = RepositoryName.parse(step.line.repository)
        row = await self._tx.repositories.ensure(name.text, name.project, step.line.actor)
        if row.created and step.line.at_milliseconds is not None:
            await self._tx.replay.date_repository(row.id, step.line.at_milliseconds)
        return row


def _kept(repository: str, digest: Digest, users: Sequence[Digest]) -> Loss:
    named = ", ".join(map(str, users))
    return Loss("deletion", repository, str(digest), f"it was deleted, but stays, since {named} needs it")
