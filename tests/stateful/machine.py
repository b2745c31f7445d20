"""Every verb of the protocol in any order, and after each step the question whether registry and model agree.

Checked after each step that changes something: I2 (a readable manifest has all it names), I3 (bytes hash to their
digest), I4 (a tag is where it was put last), I5 (what was deleted stays deleted), I7 (a refused request
changed nothing).
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, ClassVar, Final

from hypothesis import assume, note
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.stateful.material import (
    CONTENTS,
    IMAGE_TYPE,
    INDEX_TYPE,
    digest_of,
    image_manifest,
    index_manifest,
)
from tests.stateful.model import ManifestModel, RepositoryModel, SessionModel

if TYPE_CHECKING:
    from hypothesis.stateful import MultipleResults

    from tests.asgi.client import AsgiReply
    from tests.stateful.world import World

__all__ = ["RegistryMachine"]

_REPOSITORIES: Final = ("first", "second/deep")
_TAGS: Final = ("latest", "Latest", "v1.0")

_repository = st.sampled_from(_REPOSITORIES)
_tag = st.sampled_from(_TAGS)
_content = st.sampled_from(CONTENTS)
_cuts = st.lists(st.integers(0, 150_000), max_size=2)


class RegistryMachine(RuleBasedStateMachine):
    """Drives one registry, the `world` of a subclass; every sequence has a project of its own."""

    world: ClassVar[World]
    sessions = Bundle("sessions")
    pushed = Bundle("pushed")

    def __init__(self) -> None:
        super().__init__()
        self._world = self.world
        self._project = self.world.new_project()
        self._models = {name: RepositoryModel() for name in _REPOSITORIES}
        self._open_sessions: dict[str, SessionModel] = {}

    # Uploads

    @rule(repository=_repository, content=_content)
    def push_in_one_request(self, repository: str, content: bytes) -> None:
        """POST with digest and body."""
        reply = self._ask(
            "POST", repository, f"blobs/uploads/?digest={digest_of(content)}", chunks=_split(content, [])
        )
        assert reply.status == 201
        self._models[repository].add_blob(content)

    @rule(target=sessions, repository=_repository)
    def begin(self, repository: str) -> str:
        """POST."""
        return self._take_session(repository, self._ask("POST", repository, "blobs/uploads/"))

    @rule(location=sessions, content=_content, cuts=_cuts, announce=st.booleans())
    def append(self, location: str, content: bytes, cuts: list[int], announce: bool) -> None:
        """PATCH, with and without Content-Range."""
        session = self._open_sessions.get(location)
        start = len(session.content) if session is not None else 0
        assume(not announce or content)
        headers = {"Content-Range": f"{start}-{start + len(content) - 1}"} if announce else {}
        reply = self._world.request("PATCH", location, headers, _split(content, cuts))
        if session is None:
            assert reply.status == 404
            return
        session.content += content
        assert (reply.status, reply.headers["range"]) == (202, _range(session.content))

    @rule(location=sessions, content=_content, distance=st.integers(1, 100))
    def append_out_of_order(self, location: str, content: bytes, distance: int) -> None:
        """PATCH at a place where the upload does not end."""
        session = self._open_sessions.get(location)
        assume(session is not None and content)
        assert session is not None
        start = len(session.content) + distance
        headers = {"Content-Range": f"{start}-{start + len(content) - 1}"}
        reply = self._world.request("PATCH", location, headers, [content])
        assert (reply.status, reply.headers["range"]) == (416, _range(session.content))

    @rule(location=sessions, content=_content)
    def vanish_while_appending(self, location: str, content: bytes) -> None:
        """PATCH by a client that goes away: what arrived is kept, and a status request says how much that is."""
        session = self._open_sessions.get(location)
        assume(session is not None)
        assert session is not None
        self._world.request("PATCH", location, {}, [content], vanish=True)
        session.content += content
        self._check_status(location, session)

    @rule(location=sessions)
    def ask_for_status(self, location: str) -> None:
        """GET."""
        session = self._open_sessions.get(location)
        if session is None:
            assert self._world.request("GET", location).status == 404
        else:
            self._check_status(location, session)

    @rule(location=sessions, content=_content)
    def finish(self, location: str, content: bytes) -> None:
        """PUT with the last bytes and the right digest."""
        session = self._open_sessions.get(location)
        whole = (session.content if session is not None else b"") + content
        digest = digest_of(whole)
        reply = self._world.request("PUT", f"{location}?digest={digest}", {}, [content])
        if session is None:
            # Repeated after it succeeded, the PUT succeeds again; without that blob there is nothing to finish.
            model = self._models[_repository_of(location, self._project)]
            assert reply.status == (201 if digest in model.blobs else 404)
            return
        assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
        del self._open_sessions[location]
        self._models[session.repository].add_blob(whole)

    @rule(location=consumes(sessions))
    def finish_with_wrong_digest(self, location: str) -> None:
        """PUT with the digest of other bytes: refused, and the session is gone."""
        session = self._open_sessions.pop(location, None)
        wrong = digest_of(b"not these bytes")
        reply = self._world.request("PUT", f"{location}?digest={wrong}", {}, [b"x"])
        assert reply.status == (404 if session is None else 400)
        assert self._world.request("GET", location).status == 404

    @rule(location=consumes(sessions))
    def cancel(self, location: str) -> None:
        """DELETE a session."""
        session = self._open_sessions.pop(location, None)
        assert self._world.request("DELETE", location).status == (404 if session is None else 204)
        assert self._world.request("GET", location).status == 404

    @rule(target=sessions, source=_repository, repository=_repository, content=_content)
    def mount(self, source: str, repository: str, content: bytes) -> str | MultipleResults[str]:
        """POST with mount and `from`: a blob, or a session to upload it."""
        digest = digest_of(content)
        reply = self._ask("POST", repository, f"blobs/uploads/?mount={digest}&from={self._project}/{source}")
        if reply.status == 202:
            assert digest not in self._models[source].blobs
            return self._take_session(repository, reply)
        assert reply.status == 201
        assert digest in self._models[source].blobs.keys() | self._models[repository].blobs.keys()
        self._models[repository].add_blob(content)
        return multiple()

    @rule(repository=_repository, content=_content)
    def mount_from_anywhere(self, repository: str, content: bytes) -> None:
        """POST with mount and no `from`, and the upload that a client makes of a refusal.

        The registry may know the blob from another sequence, so either answer is right: what follows brings
        both to the same state, because a later draw must not depend on what earlier sequences left behind.
        """
        digest = digest_of(content)
        reply = self._ask("POST", repository, f"blobs/uploads/?mount={digest}")
        if reply.status == 202:
            location = reply.headers["location"].partition("?")[0]
            reply = self._world.request("PUT", f"{location}?digest={digest}", {}, [content])
        assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
        self._models[repository].add_blob(content)

    # Manifests

    @rule(
        target=pushed,
        repository=_repository,
        blobs=st.lists(_content, min_size=1, max_size=3),
        subject=st.none() | pushed,
        variant=st.integers(0, 2),
        tags=st.lists(_tag, max_size=2, unique=True),
        by_digest=st.booleans(),
    )
    def put_image(
        self,
        repository: str,
        blobs: list[bytes],
        subject: ManifestModel | None,
        variant: int,
        tags: list[str],
        by_digest: bool,
    ) -> ManifestModel | MultipleResults[ManifestModel]:
        """PUT an image manifest, perhaps attached to another manifest, under a digest and under tags."""
        body = image_manifest(tuple(blobs), None if subject is None else subject.body, variant)
        manifest = ManifestModel(
            body,
            IMAGE_TYPE,
            frozenset(digest_of(blob) for blob in blobs),
            subject=None if subject is None else subject.digest,
            artifact_type=None if subject is None else f"application/vnd.test.{variant}",
        )
        return self._put(repository, manifest, tags, by_digest)

    @rule(
        target=pushed,
        repository=_repository,
        children=st.lists(pushed, min_size=1, max_size=2),
        variant=st.integers(0, 2),
        tags=st.lists(_tag, max_size=2, unique=True),
        by_digest=st.booleans(),
    )
    def put_index(
        self,
        repository: str,
        children: list[ManifestModel],
        variant: int,
        tags: list[str],
        by_digest: bool,
    ) -> ManifestModel | MultipleResults[ManifestModel]:
        """PUT an index of manifests that were pushed somewhere before."""
        body = index_manifest(tuple((child.body, child.media_type) for child in children), variant)
        manifest = ManifestModel(body, INDEX_TYPE, frozenset(), frozenset(child.digest for child in children))
        return self._put(repository, manifest, tags, by_digest)

    @rule(repository=_repository, manifest=pushed, tag=_tag)
    def retag(self, repository: str, manifest: ManifestModel, tag: str) -> None:
        """PUT known bytes under a tag again."""
        self._put(repository, manifest, [tag], by_digest=False)

    # Deletes

    @rule(repository=_repository, content=_content)
    def delete_blob(self, repository: str, content: bytes) -> None:
        """DELETE a blob: refused while a manifest needs it."""
        digest = digest_of(content)
        expected = self._models[repository].blob_delete_status(digest)
        assert self._ask("DELETE", repository, f"blobs/{digest}").status == expected

    @rule(repository=_repository, manifest=pushed)
    def delete_manifest(self, repository: str, manifest: ManifestModel) -> None:
        """DELETE a manifest by digest: refused while an index lists it; its tags go with it."""
        expected = self._models[repository].manifest_delete_status(manifest.digest)
        assert self._ask("DELETE", repository, f"manifests/{manifest.digest}").status == expected

    @rule(repository=_repository, tag=_tag)
    def delete_tag(self, repository: str, tag: str) -> None:
        """DELETE a tag: its manifest stays."""
        expected = self._models[repository].tag_delete_status(tag)
        assert self._ask("DELETE", repository, f"manifests/{tag}").status == expected

    @rule()
    def restart(self) -> None:
        """Stop the registry and start it again."""
        self._world.restart()

    # What must hold after every step

    @initialize()
    def note_project(self) -> None:
        """Print where the rows of a failing sequence are."""
        note(f"project {self._project}")

    @invariant()
    def agrees_on_tags(self) -> None:
        """I4, I5: the list of tags and what each points at."""
        for name, model in self._models.items():
            reply = self._ask("GET", name, "tags/list")
            if not model.exists:
                assert (reply.status, reply.error_code()) == (404, "NAME_UNKNOWN")
                continue
            assert json.loads(reply.body)["tags"] == sorted(model.tags)
            for tag, digest in model.tags.items():
                head = self._ask("HEAD", name, f"manifests/{tag}")
                assert (head.status, head.headers["docker-content-digest"]) == (200, digest)

    @rule(repository=_repository)
    def agrees_on_everything(self, repository: str) -> None:
        """I2, I3, I5: every manifest and blob that should be there is, byte for byte, and no other."""
        model = self._models[repository]
        for content in CONTENTS:
            self._check_blob(repository, content, present=digest_of(content) in model.blobs)
        for digest, manifest in model.manifests.items():
            reply = self._ask("GET", repository, f"manifests/{digest}")
            assert (reply.status, reply.body) == (200, manifest.body)
            assert reply.headers["content-type"] == manifest.media_type
            assert manifest.blobs <= model.blobs.keys(), "the model itself broke I2"

    @rule(repository=_repository, manifest=pushed, variant=st.none() | st.integers(0, 2))
    def agrees_on_one_manifest(self, repository: str, manifest: ManifestModel, variant: int | None) -> None:
        """I5: a manifest is there or not, and so are those that are attached to it."""
        model = self._models[repository]
        status = self._ask("GET", repository, f"manifests/{manifest.digest}").status
        assert status == (200 if manifest.digest in model.manifests else 404)
        artifact_type = None if variant is None else f"application/vnd.test.{variant}"
        query = "" if artifact_type is None else f"?artifactType={artifact_type}"
        reply = self._ask("GET", repository, f"referrers/{manifest.digest}{query}")
        assert reply.status == 200
        listed = [entry["digest"] for entry in json.loads(reply.body)["manifests"]]
        assert sorted(listed) == sorted(model.referrers(manifest.digest, artifact_type))

    # How

    def _ask(self, method: str, repository: str, path: str, chunks: list[bytes] | None = None) -> AsgiReply:
        return self._world.request(
            method, f"/v2/{self._project}/{repository}/{path}", {}, [b""] if chunks is None else chunks
        )

    def _take_session(self, repository: str, reply: AsgiReply) -> str:
        assert reply.status == 202
        location = reply.headers["location"].partition("?")[0]
        self._models[repository].exists = True
        self._open_sessions[location] = SessionModel(repository)
        return location

    def _check_status(self, location: str, session: SessionModel) -> None:
        reply = self._world.request("GET", location)
        assert (reply.status, reply.headers["range"]) == (204, _range(session.content))

    def _put(
        self,
        repository: str,
        manifest: ManifestModel,
        tags: list[str],
        by_digest: bool,
    ) -> ManifestModel | MultipleResults[ManifestModel]:
        model = self._models[repository]
        in_path = manifest.digest if by_digest or not tags else tags[0]
        query = "&".join(f"tag={tag}" for tag in tags if tag != in_path)
        reply = self._world.request(
            "PUT",
            f"/v2/{self._project}/{repository}/manifests/{in_path}" + (f"?{query}" if query else ""),
            {"Content-Type": manifest.media_type},
            [manifest.body],
        )
        if model.lacks(manifest):
            assert (reply.status, reply.error_code()) == (404, "MANIFEST_BLOB_UNKNOWN")
            return multiple()
        assert (reply.status, reply.headers["docker-content-digest"]) == (201, manifest.digest)
        assert reply.headers.get("oci-subject") == manifest.subject
        model.put(manifest, tuple(tags))
        return manifest

    def _check_blob(self, repository: str, content: bytes, *, present: bool) -> None:
        path = f"blobs/{digest_of(content)}"
        reply = self._ask("GET", repository, path)
        if not present:
            assert reply.status == 404
            return
        assert (reply.status, reply.body) == (200, content)
        assert self._ask("HEAD", repository, path).headers["content-length"] == str(len(content))


def _split(content: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(places)]


def _range(content: bytes) -> str:
    return f"0-{max(len(content) - 1, 0)}"


def _repository_of(location: str, project: str) -> str:
    return location.removeprefix(f"/v2/{project}/").partition("/blobs/uploads/")[0]
