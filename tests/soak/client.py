"""A client that pushes, pulls, mounts, lists and deletes for as long as it is let, in repositories of its own."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from typing import TYPE_CHECKING, Final

from tests.blackbox.material.images import build_image, build_random_layer
from tests.soak.connection import Connection, FailedRequestError, Record, StoppedError
from tests.soak.large_blobs import LargeBlobs
from tests.soak.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.blackbox.material.images import Image

__all__ = ["MIX", "SoakClient"]

_REPOSITORIES: Final = 3
_TAGS: Final = 8
_IMAGES_PER_REPOSITORY: Final = 10
"""At so many an image is deleted before the next one is pushed: what lives stays the same after a while."""
_POOL: Final = 24
_FRESH_SHARE: Final = 0.2
"""Share of pushes that bring content nobody pushed before. Bytes of deleted content stay on the disk today, so the rest
takes images from a pool, which are pushed, deleted and pushed again."""
_LAYER_BYTES: Final = (1024, 16384)
_MOUNT_SHARE: Final = 0.6

MIX: Final[dict[str, int]] = {
    "pull": 40,
    "push": 18,
    "list_tags": 14,
    "delete_image": 6,
    "delete_tag": 5,
    "list_catalog": 4,
    "cancel": 4,
    "index": 3,
    "referrer": 3,
    "abandon": 2,
    "push_large": 2,
    "leave_large_and_go_on": 1,
    "leave_large_and_cancel": 1,
    "be_refused_large": 1,
}
"""Weights of what a client does next; each is one to a dozen requests."""


class SoakClient(threading.Thread):
    """One client. `record` and `large_blobs` may be read while it runs; `stop` ends it before its next request."""

    def __init__(
        self,
        number: int,
        port: int,
        requests_per_second: float,
        seed: int,
        stop: threading.Event,
        is_read_by_thread: Callable[[int], bool],
    ) -> None:
        super().__init__(name=f"soak-client-{number}", daemon=True)
        self.record = Record()
        self.has_done_everything = threading.Event()
        self._number = number
        self._chance = random.Random(f"{seed}/{number}")
        self._connection = Connection(port, requests_per_second, stop, self.record)
        self._repositories = [
            Repository(f"soak/client-{number}/app-{index}", self._connection)
            for index in range(_REPOSITORIES)
        ]
        self._pool = [self._new_image() for _ in range(_POOL)]
        self.large_blobs = LargeBlobs(self._connection, self._chance, is_read_by_thread)

    @property
    def images(self) -> int:
        """How many images are alive in this client's repositories."""
        return sum(len(repository.images) for repository in self._repositories)

    def run(self) -> None:
        """Act until stopped; what fails is in the record, and the client goes on."""
        names, weights = list(MIX), list(MIX.values())
        try:
            self._attempt(self._do_everything_once)
            self.has_done_everything.set()
            while True:
                (action,) = self._chance.choices(names, weights)
                repository = self._chance.choice(self._repositories)
                self._attempt(lambda action=action, repository=repository: self._act(action, repository))  # type: ignore[misc]  # mypy can't infer a default
        except StoppedError:
            self._connection.close()

    @staticmethod
    def _attempt(action: Callable[[], None]) -> None:
        with contextlib.suppress(FailedRequestError):  # it is in the record
            action()

    def _do_everything_once(self) -> None:
        """However short the run is, nothing is left out."""
        first, second, *_ = self._repositories
        for number, image in enumerate(self._pool[:4]):
            first.push(image, f"t-{number}", self._chance, None)
        second.push(self._pool[0], "t-0", self._chance, first.name)
        for action in MIX:
            self._act(action, first)

    def _act(self, action: str, repository: Repository) -> None:
        if action == "push" or len(repository.images) < 3 or not repository.tags:
            self._push(repository)
        elif action == "pull":
            repository.pull(self._chance.choice(sorted(repository.tags)))
        elif action == "list_tags":
            repository.list_tags()
        elif action == "delete_image":
            self._delete_one(repository)
        elif action == "delete_tag":
            repository.delete_tag(self._chance.choice(sorted(repository.tags)))
        elif action == "list_catalog":
            self._list_catalog()
        elif action == "index":
            repository.come_and_go_with_an_index()
        elif action == "referrer":
            repository.come_and_go_with_a_referrer(self._chance)
        elif action == "cancel":
            repository.cancel_an_upload(self._chance.randbytes(3000))
        elif action == "abandon":
            repository.begin_an_upload(self._chance.randbytes(3000))
        else:
            self._act_large(action, repository.name)

    def _act_large(self, action: str, repository: str) -> None:
        if action == "push_large":
            self.large_blobs.push(repository)
        elif action == "leave_large_and_go_on":
            self.large_blobs.leave_and_go_on(repository)
        elif action == "leave_large_and_cancel":
            self.large_blobs.leave_and_cancel(repository)
        else:
            self.large_blobs.be_refused(repository)

    def _push(self, repository: Repository) -> None:
        if len(repository.images) >= _IMAGES_PER_REPOSITORY:
            self._delete_one(repository)
        fresh = self._chance.random() < _FRESH_SHARE
        image = self._new_image() if fresh else self._chance.choice(self._pool)
        holders = [
            other.name
            for other in self._repositories
            if other is not repository and image.digest in other.images
        ]
        mount_from = holders[0] if holders and self._chance.random() < _MOUNT_SHARE else None
        repository.push(image, f"t-{self._chance.randrange(_TAGS)}", self._chance, mount_from)

    def _delete_one(self, repository: Repository) -> None:
        tagged = set(repository.tags.values())
        untagged = sorted(set(repository.images) - tagged)
        repository.delete_image(self._chance.choice(untagged or sorted(repository.images)))

    def _list_catalog(self) -> None:
        """All repositories of this client that were ever pushed to are in the catalog."""
        answer = self._connection.request("catalog.list", "GET", "/v2/_catalog?n=1000", expect={200})
        listed = set(json.loads(answer.body)["repositories"])
        own = {repository.name for repository in self._repositories if repository.images}
        self._connection.require(own <= listed, f"the catalog lacks {own - listed}")

    def _new_image(self) -> Image:
        size = self._chance.randrange(*_LAYER_BYTES)
        return build_image([build_random_layer("content", size, seed=self._chance.getrandbits(60))])
