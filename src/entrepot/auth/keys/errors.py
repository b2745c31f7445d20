"""What can go wrong with keys; the texts are for the operator."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "KeyRotationError",
    "KeyUnknownError",
    "MasterKeyError",
    "MasterKeyFileMissingError",
    "MasterKeyMissingError",
    "SigningKeyUnavailableError",
    "UnsealingError",
]


class MasterKeyError(EntrepotError):
    """The master key can't be read, made or used as it stands."""


class MasterKeyMissingError(MasterKeyError):
    """Something is sealed with a master key that this node does not have.

    Attributes:
        wanted: the id of the key that sealed it.
        present: the ids of those that are here.
    """

    def __init__(self, wanted: str, present: tuple[str, ...]) -> None:
        super().__init__(
            f"secrets in the database are sealed with the master key {wanted}; this node has {', '.join(present)}: "
            "give it the right one (secrets.master_key, or secrets/master.key below data.directory)"
        )
        self.wanted = wanted
        self.present = present


class MasterKeyFileMissingError(MasterKeyError):
    """There is no master key where it is expected, and none may be made in its place.

    Attributes:
        path: where the file is expected.
        wanted: the ids of the keys that sealed something.
    """

    def __init__(self, path: str, wanted: tuple[str, ...]) -> None:
        super().__init__(
            f"{path} does not exist, and secrets in the database are sealed with the master key {', '.join(wanted)}: "
            "bring the file back from its copy or from another node (or set secrets.master_key). If it is lost: "
            "`entrepot keys renew` makes a new master key and new signing keys; clients fetch new tokens, and people, "
            "robots and passwords stay"
        )
        self.path = path
        self.wanted = wanted


class SigningKeyUnavailableError(EntrepotError):
    """No token can be issued: there is no signing key that this process can use. What was issued is still verified.

    Attributes:
        reason: why not.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"tokens can't be issued: {reason}")
        self.reason = reason


class UnsealingError(MasterKeyError):
    """What is sealed was altered, or is not what it is taken for, although the right key is here."""

    def __init__(self, purpose: str, identity: str) -> None:
        super().__init__(f"the sealed {purpose} of {identity} was altered, or is another's")
        self.purpose = purpose
        self.identity = identity


class KeyUnknownError(EntrepotError):
    """There is no signing key with this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no signing key {key_id}")
        self.key_id = key_id


class KeyRotationError(EntrepotError):
    """The signing keys can't be moved on now; the text says why, and when they can."""
