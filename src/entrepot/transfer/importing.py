"""The import itself: chosen images of a source go through this registry's services, children before parents.

It keeps no state of its own. What is there is found there and passed over, so an import that was broken off goes on
where it was by being run again, and one that was complete does nothing the second time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from entrepot.oci.digest import Digest
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError, TagName
from entrepot.registry.errors import TagConditionError
from entrepot.registry.pushes.tag_conditions import UNCONDITIONAL, TagCondition
from entrepot.transfer.errors import SourceError, TagConflictError
from entrepot.transfer.image_copy import ImageCopier, ImageFailedError, WantedImage
from entrepot.transfer.report import Difference, ImportReport, KeptTag, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from entrepot.oci.manifest import ParsedManifest
    from entrepot.oci.names import RepositoryName
    from entrepot.transfer.selection import Selection
    from entrepot.transfer.source import ImageSource
    from entrepot.transfer.target import ImportTarget

__all__ = ["ConflictPolicy", "ImportOptions", "Importer"]

ConflictPolicy: TypeAlias = Literal["keep", "overwrite", "fail"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import.

    Attributes:
        parallel: how many images, and how many blobs, are under way at once.
        conflicts: what to do with a tag that points elsewhere in the target.
        untagged: whether manifests without a tag come along where the source can list them.
        referrers: whether what is attached to an imported manifest comes along.
    """

    parallel: int = 4
    conflicts: ConflictPolicy = "keep"
    untagged: bool = True
    referrers: bool = True


@dataclass(frozen=True, slots=True)
class _Job:
    """One image: where it lies at the source, and where it goes."""

    source: str
    target: RepositoryName
    reference: str | Digest


class Importer:
    """One run. `advance` is told of bytes as they come, with the name of what they belong to."""

    def __init__(
        self,
        source: ImageSource,
        target: ImportTarget,
        selection: Selection,
        options: ImportOptions,
        advance: Callable[[int, str], None],
    ) -> None:
        self._source = source
        self._target = target
        self._selection = selection
        self._options = options
        self._report = ImportReport()
        self._copier = ImageCopier(source, target, self._report, options.parallel, advance)
        self._asked: set[tuple[str, Digest]] = set()
        """Whose referrers were asked for: many tags may point at one manifest."""
        # A choice of tags is a choice against everything else.
        self._takes_untagged = options.untagged and not selection.tags

    async def run(self) -> ImportReport:
        """Import everything that is chosen; what the source has damaged or can't give is reported and passed over.

        Raises:
            SourceUnusableError, SourceUnavailableError: the source as a whole failed; run it again to go on.
            TagConflictError: a tag points elsewhere and that was to be an error.
            BlobStoreError, MetadataError: the stores failed.
        """
        jobs: asyncio.Queue[_Job | None] = asyncio.Queue(2 * self._options.parallel)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.parallel):
                    group.create_task(self._work(jobs))
                async for job in self._jobs():
                    await jobs.put(job)
                for _ in range(self._options.parallel):
                    await jobs.put(None)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return self._report

    async def compare(self) -> None:
        """Read every tag and manifest back that was found imported, and note what is not as the source had it."""
        for (repository, reference), expected in self._report.expected.items():
            found = await self._found(repository, reference)
            self._report.compared += 1
            if found != expected:
                self._report.differences.append(Difference(repository.text, str(reference), expected, found))

    async def _found(self, repository: RepositoryName, reference: TagName | Digest) -> Digest | None:
        if isinstance(reference, TagName):
            return await self._target.find_tag(repository, reference)
        manifest = await self._target.find_manifest(repository, reference)
        return manifest.digest if manifest is not None else None

    async def _jobs(self) -> AsyncIterator[_Job]:
        async for name in self._repositories():
            if not self._selection.has_repository(name):
                continue
            try:
                target = self._selection.rename(name)
            except InvalidRepositoryNameError as error:
                self._report.problems.append(Problem(name, "", str(error)))
                continue
            self._report.repositories += 1
            try:
                async for job in self._jobs_of(name, target):
                    yield job
            except SourceError as error:
                self._report.problems.append(Problem(name, "", str(error)))

    async def _repositories(self) -> AsyncIterator[str]:
        named = self._selection.named_repositories
        if named is not None:
            for name in named:
                yield name
            return
        async for name in self._source.repositories():
            yield name

    async def _jobs_of(self, name: str, target: RepositoryName) -> AsyncIterator[_Job]:
        found = False
        async for tag in self._source.tags(name):
            found = True
            if self._selection.has_tag(name, tag):
                yield _Job(name, target, tag)
        if self._takes_untagged:
            async for digest in self._source.untagged(name):
                found = True
                yield _Job(name, target, digest)
        if not found and self._selection.named_repositories is not None:
            self._report.problems.append(
                Problem(name, "", "the source has no such repository, or nothing in it")
            )

    async def _work(self, jobs: asyncio.Queue[_Job | None]) -> None:
        while (job := await jobs.get()) is not None:
            try:
                await self._import(job)
            except (SourceError, ImageFailedError, InvalidTagNameError) as error:
                self._report.problems.append(Problem(job.source, str(job.reference), str(error)))

    async def _import(self, job: _Job) -> None:
        if isinstance(job.reference, Digest):
            parsed = await self._copier.copy(WantedImage(job.source, job.target, job.reference))
            self._report.expected[job.target, job.reference] = job.reference
            await self._import_referrers(job, job.reference, parsed)
            return
        tag = TagName.parse(job.reference)
        digest = await self._source.resolve(job.source, job.reference)
        tagged = await self._import_tag(job, tag, digest)
        if tagged is not None:
            self._report.expected[job.target, tag] = digest
            await self._import_referrers(job, digest, tagged)

    async def _import_tag(self, job: _Job, tag: TagName, digest: Digest) -> ParsedManifest | None:
        """Import what a tag points at; `None` when the tag was to keep what it has in the target."""
        previous = await self._target.find_tag(job.target, tag)
        if previous == digest:
            self._report.tags_present += 1
            return await self._copier.copy(WantedImage(job.source, job.target, digest))
        condition = UNCONDITIONAL
        if self._options.conflicts != "overwrite":
            condition = TagCondition(exists=False)
        if previous is not None and self._options.conflicts != "overwrite":
            self._keep(job, tag, digest, previous)
            return None
        try:
            parsed = await self._copier.copy(WantedImage(job.source, job.target, digest, tag, condition))
        except TagConditionError as error:  # somebody pushed it meanwhile
            if error.previous is not None and error.previous != digest:
                self._keep(job, tag, digest, error.previous)
                return None
            return await self._copier.copy(WantedImage(job.source, job.target, digest))
        self._report.tags_set += 1
        return parsed

    def _keep(self, job: _Job, tag: TagName, source: Digest, target: Digest) -> None:
        if self._options.conflicts == "fail":
            raise TagConflictError(
                f"{job.target}:{tag} points at {target}, and at {source} in {self._source.description}: "
                "choose with --on-conflict keep or overwrite, or give other names with --rename or --prefix"
            )
        self._report.kept.append(KeptTag(job.target.text, tag.text, source, target))

    async def _import_referrers(self, job: _Job, digest: Digest, parsed: ParsedManifest) -> None:
        """Import what is attached to a manifest or to those it lists, and what is attached to that in turn."""
        if not self._options.referrers or (self._takes_untagged and self._source.lists_untagged):
            return
        for subject in (digest, *(child.digest for child in parsed.children)):
            if (job.target.text, subject) in self._asked:
                continue
            self._asked.add((job.target.text, subject))
            async for referrer in self._source.referrers(job.source, subject):
                if (job.target, referrer) in self._report.expected:
                    continue
                try:
                    attached = await self._copier.copy(WantedImage(job.source, job.target, referrer))
                except ImageFailedError as error:
                    self._report.problems.append(Problem(job.source, str(referrer), str(error)))
                    continue
                self._report.expected[job.target, referrer] = referrer
                await self._import_referrers(job, referrer, attached)
