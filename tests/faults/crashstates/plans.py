"""What clients do to a registry while its operations are recorded, and what they may expect to find afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.oci.digest import Digest
from tests.faults.images import (
    Image,
    Manifest,
    index_of_two_images,
    one_layer_image,
    two_layer_image,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "PLANS",
    "Checkpoint",
    "Compact",
    "Delete",
    "Plan",
    "PushBlob",
    "PutManifest",
    "Step",
    "Truth",
    "build_plan",
    "truth_after",
]

Truth = dict[str, bytes | None]
"""Path of a GET → its body, None for 404."""


@dataclass(frozen=True, slots=True)
class PushBlob:
    """POST, PATCH and an empty PUT, as Docker does it."""

    repository: str
    content: bytes

    @property
    def digest(self) -> str:
        """Its sha256 digest."""
        return str(Digest.of_bytes(self.content))

    @property
    def path(self) -> str:
        """Where it can be read."""
        return f"/v2/{self.repository}/blobs/{self.digest}"


@dataclass(frozen=True, slots=True)
class PutManifest:
    """PUT of a manifest by its tag or, without one, its digest."""

    repository: str
    manifest: Manifest

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it can be read."""
        names = dict.fromkeys((self.manifest.reference, self.manifest.digest))
        return tuple(f"/v2/{self.repository}/manifests/{name}" for name in names)


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE of a tag, manifest or blob."""

    path: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the background worker does now and then: SQLite's log is copied into the database."""


@dataclass(frozen=True, slots=True)
class Compact:
    """What the background worker does every five seconds: entries of the journal become a segment, and are removed."""


Step = PushBlob | PutManifest | Delete | Checkpoint | Compact


@dataclass(frozen=True, slots=True)
class Plan:
    """`before` is done and settled before recording begins, by a process that ended well; `steps` are recorded."""

    name: str
    before: tuple[Step, ...]
    steps: tuple[Step, ...]

    def facts(self, done: int) -> int:
        """Return how many facts about tags and manifests the journal holds once `done` of the steps were answered."""
        performed = (*self.before, *self.steps[:done])
        return sum(
            isinstance(step, PutManifest) or (isinstance(step, Delete) and "/manifests/" in step.path)
            for step in performed
        )

    def truth(self, done: int) -> Truth:
        """Return what can be read once `done` of the steps were answered, with every path of the whole plan."""
        everything = (*self.before, *self.steps)
        truth: Truth = dict.fromkeys(path for step in everything for path in _paths(step))
        for step in everything[: len(self.before) + done]:
            truth_after(step, truth)
        return truth


def truth_after(step: Step, truth: Truth) -> None:
    """Change `truth` as the step changes the registry."""
    if isinstance(step, PushBlob):
        truth[step.path] = step.content
    elif isinstance(step, PutManifest):
        truth.update(dict.fromkeys(step.paths, step.manifest.content))
    elif isinstance(step, Delete):
        gone = truth[step.path]
        truth[step.path] = None
        if "/manifests/sha256:" in step.path:  # the tags of a manifest go with it
            repository = step.path.partition("/manifests/")[0]
            for path, content in truth.items():
                if content == gone and path.startswith(f"{repository}/manifests/"):
                    truth[path] = None


def build_plan(name: str, seed: int) -> Plan:
    """Return the plan called `name`; its bytes depend on `seed`, so that every process can make it anew."""
    before, steps = PLANS[name](seed)
    return Plan(name, tuple(before), tuple(steps))


def _paths(step: Step) -> tuple[str, ...]:
    if isinstance(step, PutManifest):
        return step.paths
    return () if isinstance(step, Checkpoint | Compact) else (step.path,)


def _push(image: Image) -> list[Step]:
    blobs: list[Step] = [PushBlob(image.repository, blob) for blob in image.blobs]
    return [*blobs, *(PutManifest(image.repository, manifest) for manifest in image.manifests)]


def _delete(image: Image) -> list[Step]:
    """Delete the tag, then manifests from the top down, then blobs: nothing that is still needed."""
    base = f"/v2/{image.repository}"
    tag = [f"{base}/manifests/{manifest.tag}" for manifest in image.manifests if manifest.tag]
    manifests = [f"{base}/manifests/{manifest.digest}" for manifest in reversed(image.manifests)]
    blobs = [f"{base}/blobs/{Digest.of_bytes(blob)}" for blob in image.blobs]
    return [Delete(path) for path in (*tag, *manifests, *blobs)]


def _first_start(seed: int) -> tuple[list[Step], list[Step]]:
    return [], _push(one_layer_image(seed, "crash/first"))


def _pushing(shape: Callable[[int, str], Image]) -> Callable[[int], tuple[list[Step], list[Step]]]:
    def steps(seed: int) -> tuple[list[Step], list[Step]]:
        return _push(one_layer_image(seed + 1000, "crash/before")), _push(shape(seed, "crash/image"))

    return steps


def _deleting(shape: Callable[[int, str], Image]) -> Callable[[int], tuple[list[Step], list[Step]]]:
    def steps(seed: int) -> tuple[list[Step], list[Step]]:
        image = shape(seed, "crash/image")
        return _push(image), _delete(image)

    return steps


def _churn(seed: int) -> tuple[list[Step], list[Step]]:
    """The background worker's duties between pushes and deletes: SQLite's log is begun anew over older frames."""
    first, second = (one_layer_image(seed + number, f"crash/{number}") for number in (1, 2))
    steps: Sequence[Step] = (
        *_push(first),
        Checkpoint(),
        Compact(),
        *_delete(first)[:2],
        *_push(second),
        Compact(),
        Checkpoint(),
        *_delete(second)[:1],
    )
    return [], list(steps)


PLANS: Final[Mapping[str, Callable[[int], tuple[list[Step], list[Step]]]]] = {
    "first-start": _first_start,
    "push-one-layer": _pushing(one_layer_image),
    "push-two-layers": _pushing(two_layer_image),
    "push-index": _pushing(index_of_two_images),
    "delete-one-layer": _deleting(one_layer_image),
    "delete-index": _deleting(index_of_two_images),
    "churn": _churn,
}
"""Every plan by its name: called with a seed, it returns what comes before and what is recorded."""
