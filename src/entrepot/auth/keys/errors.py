"""What can go wrong with keys; the texts are for the operator."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["KeyRotationError", "KeyUnknownError", "MasterKeyError", "MasterKeyMissingError", "UnsealingError"]


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
