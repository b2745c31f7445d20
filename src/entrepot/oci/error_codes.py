"""Error codes of the `/v2/` API (OCI distribution-spec, "Error Codes") and the texts of their catalogue.

The HTTP status of each belongs to the edge; this is what a person reads who meets one.
"""

from __future__ import annotations

from enum import Enum, unique

__all__ = ["ErrorCode"]


@unique
class ErrorCode(Enum):
    """One code: `message` is the default sentence of a reply, `cause` and `remedy` stand in the manual."""

    def __init__(self, message: str, cause: str, remedy: str) -> None:
        self.message = message
        self.cause = cause
        self.remedy = remedy

    @property
    def code(self) -> str:
        """The code as it stands in a reply."""
        return self.name

    BLOB_UNKNOWN = (
        "The blob is not known to this repository.",
        "No blob with this digest was pushed to or mounted into the repository, or it was removed since.",
        "Push the image again; if it was never deleted, ask the administrator to check the storage.",
    )
    BLOB_UPLOAD_INVALID = (
        "The blob upload can't go on.",
        "The upload was used in a way its state forbids, or the bytes received so far had to be discarded.",
        "Start a new upload of this blob.",
    )
    BLOB_UPLOAD_UNKNOWN = (
        "The blob upload is not known to this repository.",
        "The upload was finished, cancelled or idle for too long, or is another user's or repository's.",
        "Start a new upload of this blob.",
    )
    DIGEST_INVALID = (
        "The digest is malformed or does not match the content.",
        "The digest is no lower-case sha256 or sha512 digest, or the bytes that arrived have another.",
        "Push again; if it recurs, something between the client and the registry alters the data.",
    )
    MANIFEST_BLOB_UNKNOWN = (
        "The manifest refers to content this repository does not hold.",
        "A config, a layer or a listed manifest was not pushed to this repository beforehand.",
        "Push what is missing first, then the manifest; pushing the whole image again does both.",
    )
    MANIFEST_INVALID = (
        "The manifest is not valid.",
        "The body is malformed, not of the type it claims, or clients would not all read it alike.",
        "Read the detail, which names the offending member, and rebuild the image with a current tool.",
    )
    MANIFEST_UNKNOWN = (
        "The manifest is not known to this repository.",
        "No manifest has this tag or digest: it was never pushed here, or has been deleted.",
        "Check the name and the tag; list the tags to see what the repository holds.",
    )
    NAME_INVALID = (
        "The repository name is not valid.",
        "The name has upper-case letters, characters that are not allowed, or is too long.",
        "Use lower-case letters and digits joined by '.', '_', '__' or '-', in segments separated by '/'.",
    )
    NAME_UNKNOWN = (
        "The repository is not known to this registry.",
        "Nothing was ever pushed to a repository of this name, or it has been deleted.",
        "Check the name; push to it to create it.",
    )
    SIZE_INVALID = (
        "The size does not match the content.",
        "Another number of bytes arrived than the request or the manifest states.",
        "Push again; if it recurs, something between the client and the registry cuts requests short.",
    )
    UNAUTHORIZED = (
        "Authentication is required.",
        "The request carries no credentials, or they are wrong, expired or revoked.",
        "Log in with valid credentials and try again.",
    )
    DENIED = (
        "Access to this resource is denied.",
        "The credentials are valid but do not permit this action, or a rule of the project forbids it.",
        "Ask an administrator of the project for the permission, or use another account.",
    )
    UNSUPPORTED = (
        "The operation is not supported.",
        "The registry does not offer this operation, or not for this kind of content.",
        "See the documentation for what is supported; the detail says what was asked for.",
    )
    TOOMANYREQUESTS = (
        "Too many requests.",
        "The client exceeded a limit of requests, or the registry sheds load.",
        "Wait as long as the Retry-After header says, then try again.",
    )
    TAG_INVALID = (
        "The tag is not valid.",
        "The tag has characters that are not allowed, or more than 128 of them.",
        "Use letters, digits, '.', '_' and '-', with a letter, a digit or '_' first.",
    )
    RANGE_INVALID = (
        "The range is not valid.",
        "A chunk does not start where the upload ends, or a range is malformed or outside the blob.",
        "Ask for the state of the upload and continue from the byte it names.",
    )
    PAGINATION_NUMBER_INVALID = (
        "The page size is not valid.",
        "The parameter n is no whole number of at least zero.",
        "Leave n out, or give a whole number; larger pages than allowed are shortened, not refused.",
    )
    UNAVAILABLE = (
        "The registry can't serve this request at the moment.",
        "A part it depends on, such as the database or the storage, is unreachable, or it is shutting down.",
        "Try again after a while; the readiness report tells an administrator which part is missing.",
    )
    UNKNOWN = (
        "An error occurred that the registry did not expect.",
        "A defect, or damage to its data.",
        "Report it together with the request id of the reply; the log has the details under that id.",
    )
    STORAGE_FULL = (
        "The registry has no room for this content.",
        "The storage has reached its capacity or the part of it that is kept in reserve.",
        "Ask an administrator for more room and push again then; pulls go on meanwhile.",
    )
