"""What the registry refuses, in its own terms; edges map these to protocol codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.oci.digest import Digest
    from entrepot.oci.names import RepositoryName

__all__ = [
    "BlobLostError",
    "BlobUnknownError",
    "ContentDamagedError",
    "ContentInUseError",
    "DigestMismatchError",
    "ManifestBytesGoneError",
    "ManifestReferencesMissingError",
    "ManifestUnknownError",
    "RegistryError",
    "RepositoryDescriptionError",
    "RepositoryExistsError",
    "RepositoryUnknownError",
    "SourceInterruptedError",
    "StoreHeldError",
    "TagConditionError",
    "UploadConflictError",
    "UploadOffsetError",
    "UploadUnknownError",
]


class RegistryError(EntrepotError):
    """The root of everything the registry refuses."""


class RepositoryUnknownError(RegistryError):
    """There is no such repository.

    Attributes:
        namesake: one that is there and easily meant, for those who may know of it.
    """

    def __init__(self, repository: RepositoryName, namesake: RepositoryName | None = None) -> None:
        message = f"repository {repository} does not exist"
        if namesake is not None:
            within = namesake.name_within
            message += f", but {namesake} does: below project {namesake.project} its address is {within}"
        super().__init__(message)
        self.repository = repository
        self.namesake = namesake


class RepositoryExistsError(RegistryError):
    """There is such a repository already."""

    def __init__(self, repository: RepositoryName) -> None:
        super().__init__(f"repository {repository} exists already")
        self.repository = repository


class RepositoryDescriptionError(RegistryError):
    """A text that can't describe a repository."""

    def __init__(self, max_characters: int) -> None:
        super().__init__(
            f"a description has {max_characters} characters at most, and no null character among them"
        )
        self.max_characters = max_characters


class ManifestUnknownError(RegistryError):
    """The repository has no manifest under this tag or digest."""

    def __init__(self, repository: RepositoryName, reference: str) -> None:
        super().__init__(f"repository {repository} has no manifest {reference}")
        self.repository = repository
        self.reference = reference


class BlobUnknownError(RegistryError):
    """The repository has no such blob, whatever other repositories have."""

    def __init__(self, repository: RepositoryName, digest: Digest) -> None:
        super().__init__(f"repository {repository} has no blob {digest}")
        self.repository = repository
        self.digest = digest


class BlobLostError(BlobUnknownError):
    """The repository has the blob, but its bytes are gone: a client that still has them may push them again."""


class ContentDamagedError(RegistryError):
    """What is stored is not what was pushed; it is not served."""

    def __init__(self, digest: Digest, detail: str) -> None:
        super().__init__(f"the stored bytes of {digest} are damaged: {detail}")
        self.digest = digest
        self.detail = detail


class ContentInUseError(RegistryError):
    """Something was to be deleted that manifests of the same repository refer to; `referrers` are some of them."""

    def __init__(self, digest: Digest, referrers: Sequence[Digest]) -> None:
        named = ", ".join(str(referrer) for referrer in referrers)
        super().__init__(f"{digest} is in use; delete the manifests that refer to it first: {named}")
        self.digest = digest
        self.referrers = tuple(referrers)


class DigestMismatchError(RegistryError):
    """The bytes hash to something else than the client claims."""

    def __init__(self, claimed: Digest, actual: str) -> None:
        super().__init__(f"the content hashes to {actual}, not to {claimed}")
        self.claimed = claimed
        self.actual = actual


class ManifestReferencesMissingError(RegistryError):
    """A manifest names blobs or manifests that its repository does not have."""

    def __init__(self, blobs: Sequence[Digest], manifests: Sequence[Digest]) -> None:
        named = ", ".join(str(digest) for digest in (*blobs, *manifests))
        super().__init__(f"the manifest refers to content that this repository does not have: {named}")
        self.blobs = tuple(blobs)
        self.manifests = tuple(manifests)


class TagConditionError(RegistryError):
    """A push was to happen only if its tags pointed at certain things, and this one does not."""

    def __init__(self, repository: RepositoryName, tag: str, previous: Digest | None) -> None:
        found = "does not exist" if previous is None else f"points at {previous}"
        super().__init__(
            f"tag {tag} of repository {repository} {found}, which the request's condition forbids"
        )
        self.repository = repository
        self.tag = tag
        self.previous = previous


class UploadUnknownError(RegistryError):
    """There is no such upload session for this repository and client."""

    def __init__(self, session: str) -> None:
        super().__init__(f"there is no upload session {session}; begin a new one")
        self.session = session


class UploadOffsetError(RegistryError):
    """A chunk does not begin where the session ends."""

    def __init__(self, repository: RepositoryName, session: str, offset: int) -> None:
        super().__init__(f"upload session {session} has {offset} bytes; the next chunk begins there")
        self.repository = repository
        self.session = session
        self.offset = offset


class UploadConflictError(RegistryError):
    """Another request writes to the session, or did a moment ago and its lease is not given back yet."""

    def __init__(self, session: str) -> None:
        super().__init__(
            f"another request writes to upload session {session}, or did until a moment ago; "
            "ask for its status and continue"
        )
        self.session = session


class SourceInterruptedError(RegistryError):
    """The source of a body ended before its announced end; raised by whoever supplies the bytes."""

    def __init__(self, reason: str = "the client stopped sending before the end of the body") -> None:
        super().__init__(reason)


class ManifestBytesGoneError(RegistryError):
    """A copy of the manifest that was there a moment ago was collected; storing the bytes again heals it."""


class StoreHeldError(RegistryError):
    """Work on the host needs the store to itself for a while, and other such work is under way."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; try again when it has ended")
        self.reason = reason
