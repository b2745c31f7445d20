"""The rows of the table: which requests are sent, which ratio is to be reached (the bars), and in which unit."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.clients import CLIENT_COUNT, write_authorizations
from bench.images import ImageSource, copy_image
from bench.material import BLOB_REPOSITORY, IMAGE_REPOSITORY, MANIFEST_REPOSITORY, tag_of
from bench.robots import Robots, token_path
from bench.rounds import Measurement, Sample
from bench.servers import ServerError
from bench.settling import BUSY_AFTERWARDS, wait_until_idle
from bench.small_requests import SmallLoad, run_wrk
from bench.statistics_of_rounds import sample_zipf, scatter_misses
from bench.transferring import run_client, run_transfer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.cores import Cores
    from bench.guest_memory import MemoryFiller
    from bench.loading import Loaded
    from bench.material import Material
    from bench.servers import Server

__all__ = ["Measurements"]

_REQUESTS_LISTED: Final = 20_000
_MISS_SHARE: Final = 0.1
_SEED: Final = 7


@dataclass(frozen=True)
class Measurements:
    """Builds the measurements of one run; `directory` takes lists of paths and images."""

    material: Material
    loaded: Loaded
    directory: Path
    cores: Cores
    entrepot: Server
    docker_registry: Server
    nginx: Server
    filler: MemoryFiller

    def of_running_servers(self) -> Iterator[Measurement]:
        """Yield the rows that are measured without restarting a server, in their order."""
        yield from self._small_requests()
        yield from self._transfers()
        yield from self._images()

    @property
    def _registries(self) -> tuple[Server, ...]:
        return (self.entrepot, self.docker_registry)

    @property
    def _everyone(self) -> tuple[Server, ...]:
        return (self.entrepot, self.docker_registry, self.nginx)

    def _small_requests(self) -> Iterator[Measurement]:
        tags, digests = self.material.scale.tag_count, self.loaded.small_digests
        manifest_bytes, blob_bytes = self.loaded.smallest_manifest_bytes, self.material.scale.small_blob_bytes
        chance = random.Random(_SEED)  # noqa: S311 - not secret
        single = [_manifest_path(tag_of(0))] * CLIENT_COUNT
        zipf = [_manifest_path(tag_of(number)) for number in sample_zipf(tags, _REQUESTS_LISTED, chance)]
        with_misses = list(zipf)
        for place in scatter_misses(len(zipf), _MISS_SHARE, chance):
            with_misses[place] = _manifest_path(f"absent-{place}")
        blobs = [_blob_path(digest) for digest in digests]
        chance.shuffle(blobs)
        mixed = [path for pair in zip(zipf, chance.choices(blobs, k=len(zipf)), strict=True) for path in pair]
        yield self._get(
            "manifest-single", "manifest GET, one tag", SmallLoad("single", single, manifest_bytes), 8
        )
        yield self._get(
            "manifest-zipf",
            f"manifest GET by tag, {tags:,} tags, Zipf, 10 % misses",
            SmallLoad("zipf", with_misses, manifest_bytes, _MISS_SHARE),
            8,
        )
        yield self._get(
            "blob-16k",
            f"16 KiB blob GET, {len(digests):,} digests",
            SmallLoad("blobs", blobs, blob_bytes),
            8,
            nginx=True,
        )
        yield self._head(
            "head-present", "HEAD of a blob that exists", 200, [_blob_path(name) for name in digests]
        )
        absent = [_blob_path(digest) for digest in self.material.absent_digests()]
        yield self._head("head-absent", "HEAD of a blob that does not", 404, absent)
        yield self._get(
            "mixed", "mixed pulls: half manifests, half 16 KiB blobs", SmallLoad("mixed", mixed, 0), None
        )
        yield self._tokens()

    def _get(
        self, key: str, title: str, load: SmallLoad, bar: float | None, *, nginx: bool = False
    ) -> Measurement:
        scale = self.material.scale
        files = SmallLoad("files", [_file_path(path) for path in load.paths], load.body_bytes)

        def take(server: Server) -> Sample:
            return self._load(server, files if server is self.nginx else load)

        servers = self._everyone if nginx else self._registries
        return Measurement(key, title, "req/s", scale.rounds, servers, take, bar=bar)

    def _tokens(self) -> Measurement:
        """Return the row of the token service; the peer leaves the issue of tokens to a program it has none of."""
        scale = self.material.scale
        robots = self.entrepot.clients
        if not isinstance(robots, Robots):
            raise ServerError("nobody asks this server for tokens")
        load = SmallLoad("tokens", [token_path()] * CLIENT_COUNT, 0, as_whom=robots.secrets)

        def take(server: Server) -> Sample:
            return self._load(server, load)

        title = "token issue for a robot, three scopes, recorded in the audit log"
        return Measurement("token-issue", title, "req/s", scale.rounds, (self.entrepot,), take)

    def _load(self, server: Server, load: SmallLoad) -> Sample:
        scale = self.material.scale
        server.clients.authorizations()  # what it costs to renew them is no part of the row
        before = server.cpu_seconds()
        result = run_wrk(
            server,
            load,
            self.directory,
            self.cores,
            connections=scale.connections,
            seconds=scale.load_seconds,
        )
        facts: dict[str, float] = {
            "p50_microseconds": result.p50_microseconds,
            "p99_microseconds": result.p99_microseconds,
            BUSY_AFTERWARDS: wait_until_idle(server),
        }
        return Sample(result.requests_per_second, result.requests, server.cpu_seconds() - before, facts)

    def _head(self, key: str, title: str, status: int, paths: Sequence[str]) -> Measurement:
        scale = self.material.scale
        listed = self.directory / f"{key}.paths"
        listed.write_text("".join(f"{path}\n" for path in paths))

        def take(server: Server) -> Sample:
            values = server.clients.authorizations()
            authorizations = write_authorizations(
                values, self.directory / f"{server.name}-head.authorizations"
            )
            before = server.cpu_seconds()
            answer = run_client(
                self.cores,
                "bench.head_client",
                *("--port", str(server.port), "--paths", str(listed), "--status", str(status)),
                *("--authorizations", str(authorizations)),
                *("--connections", str(scale.connections), "--seconds", str(scale.load_seconds)),
            )
            facts = {BUSY_AFTERWARDS: wait_until_idle(server)}
            spent = server.cpu_seconds() - before
            return Sample(answer["requests"] / answer["seconds"], answer["requests"], spent, facts)

        return Measurement(key, title, "req/s", scale.rounds, self._registries, take, bar=6)

    def _make_ready(self) -> None:
        """Write out what earlier uploads left, and fill memory: neither must slow down the next one."""
        os.sync()
        if self.material.scale.memory_is_filled:
            self.filler.fill()

    def _transfers(self) -> Iterator[Measurement]:
        size = f"{self.material.scale.large_blob_bytes // 1024**2} MiB blob"
        for clients in (1, 8):
            noun = "client" if clients == 1 else "clients"
            yield self._transfer("get", clients, f"{size} GET, {clients} {noun}", 0.95, "nginx")
        for clients, bar in ((1, 1.8), (4, 1.5)):
            title = f"{size} PUT, {clients} at once, fsync on"
            yield self._transfer("put", clients, title, bar, "docker-registry")

    def _transfer(self, direction: str, at_once: int, title: str, bar: float, against: str) -> Measurement:
        scale = self.material.scale

        def take(server: Server) -> Sample:
            path = _blob_path(self.loaded.large_digest)
            if direction == "put":
                path = f"/v2/{BLOB_REPOSITORY}/blobs/uploads/"
                self._make_ready()
            elif server is self.nginx:
                path = _file_path(path)
            return run_transfer(
                server, direction, path, scale.large_blob_bytes, at_once, self.directory, self.cores
            )

        is_pull = direction == "get"
        servers = self._everyone if is_pull else self._registries
        rounds = scale.brief_rounds if is_pull or at_once == 1 else scale.rounds
        key = f"large-{direction}-{at_once}"
        return Measurement(key, title, "MB/s", rounds, servers, take, bar=bar, bar_against=against)

    def _images(self) -> Iterator[Measurement]:
        """Yield push and pull by skopeo; each sample carries its floor, which the table takes off."""
        scale = self.material.scale
        layout, copied = self.directory / "image", f"dir:{self.directory / 'image-copied'}"
        source = ImageSource(scale)
        size = f"{scale.image_layer_count} layers, {scale.image_layer_count * scale.image_layer_bytes / 1e6:.0f} MB"

        def measure(server: Server, side: str, origin: str, target: str) -> Sample:
            self._make_ready()
            floor = copy_image(f"oci:{layout}", copied, self.cores)
            self._make_ready()
            token = server.clients.authorizations()[0].removeprefix("Bearer ")
            before = server.cpu_seconds()
            seconds = copy_image(origin, target, self.cores, [f"--{side}-registry-token={token}"])
            return Sample(seconds, 1, server.cpu_seconds() - before, {"floor": floor})

        def push(server: Server) -> Sample:
            source.write_layout(layout)  # a new image each time: a known layer would not be sent
            return measure(
                server, "dest", f"oci:{layout}", f"docker://{server.host}/{IMAGE_REPOSITORY}:latest"
            )

        def pull(server: Server) -> Sample:
            return measure(server, "src", f"docker://{server.host}/{IMAGE_REPOSITORY}:latest", copied)

        for key, take, title, bar in (
            ("image-push", push, "push", 0.7),
            ("image-pull", pull, "pull", 1.0),
        ):
            yield Measurement(
                key,
                f"skopeo {title}, {size}, minus the floor",
                "s",
                scale.image_rounds,
                self._registries,
                take,
                more_is_better=False,
                bar=bar,
            )

    def of_starting(self) -> Measurement:
        """Return the row that stops and starts the servers."""

        def take(server: Server) -> Sample:
            server.stop()
            seconds = server.start(self.cores)
            return Sample(seconds, 1, server.cpu_seconds())

        rounds = self.material.scale.start_rounds
        title = "start to first answer, the data loaded"
        return Measurement(
            "start", title, "s", rounds, self._registries, take, more_is_better=False, limit=1.5
        )


def _manifest_path(reference: str) -> str:
    return f"/v2/{MANIFEST_REPOSITORY}/manifests/{reference}"


def _blob_path(digest: str) -> str:
    return f"/v2/{BLOB_REPOSITORY}/blobs/{digest}"


def _file_path(blob_path: str) -> str:
    """Return where the web server has a blob: by its digest, at the root."""
    return "/" + blob_path.rpartition("/")[2]
