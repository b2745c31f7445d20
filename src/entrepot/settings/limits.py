"""The settings that keep greedy and slow clients from starving the others."""

from __future__ import annotations

from typing import Annotated

from entrepot.settings.section import Section, Setting

__all__ = ["LimitSettings"]


class LimitSettings(Section, frozen=True):
    """How much clients may ask for at once, and how slow they may be; every number is one of each HTTP process.

    A proxy in front is one address to us: behind one, what is counted by address is better counted there. In IPv6 an
    address is a network of 64 bits, since whoever has one has 2^64.
    """

    connections: Annotated[
        int,
        Setting(
            "Connections held open, at most, or a third of the open files allowed; further ones wait in the kernel.",
            "16384: an idle one takes a few KiB, with TLS some hundred; a long head up to 128 KiB, a body half a MiB.",
            reloadable=True,
            minimum=16,
            maximum=1_000_000,
        ),
    ] = 16384
    head_seconds: Annotated[
        float,
        Setting(
            "Time for the head of a request, and life of an idle connection.",
            "30 s: enough for any line, and a proxy in front finds most of its idle connections still open.",
            reloadable=True,
            minimum=1,
            maximum=600,
        ),
    ] = 30.0
    requests_per_address: Annotated[
        int,
        Setting(
            "Requests under way from one address (in IPv6: one /64), also for tokens and to the management API; "
            "further ones get 429. 0: any number, as is right behind a proxy.",
            "1024: a build host with 100 parallel jobs of 10 layers each.",
            reloadable=True,
            minimum=0,
            maximum=1_000_000,
        ),
    ] = 1024
    bodies: Annotated[
        int,
        Setting(
            "Request bodies read at the same time; further ones wait without being read.",
            "128: each holds a few MiB of memory and some descriptors, and more at once are not faster.",
            reloadable=True,
            minimum=1,
            maximum=100_000,
        ),
    ] = 128
    bodies_per_address: Annotated[
        int,
        Setting(
            "How many of limits.bodies one address (in IPv6: one /64) may have. 0: all, as is right behind a proxy.",
            "64: half, so that one slow or greedy client leaves room for the others.",
            reloadable=True,
            minimum=0,
            maximum=100_000,
        ),
    ] = 64
    waiting_bodies: Annotated[
        int,
        Setting(
            "Requests that may wait for limits.bodies; further ones get 503 at once.",
            "1024: waiting costs a connection only, and a client told to come back often gives up.",
            reloadable=True,
            minimum=0,
            maximum=1_000_000,
        ),
    ] = 1024
    wait_seconds: Annotated[
        float,
        Setting(
            "How long a request waits for limits.bodies before it gets 503.",
            "30 s: shorter than what clients and proxies wait for an answer.",
            reloadable=True,
            minimum=0.1,
            maximum=600,
        ),
    ] = 30.0
    min_body_bytes_per_second: Annotated[
        int,
        Setting(
            "Pace below which the client of a body gets 408; what arrived of a PATCH is kept. 0: any pace.",
            "1024: a modem is faster, while a client that only means to hold a place is not.",
            reloadable=True,
            minimum=0,
            maximum=1 << 30,
        ),
    ] = 1024
    pace_window_seconds: Annotated[
        float,
        Setting(
            "Time over which the pace of a body is measured, after as much again that does not count.",
            "30 s: a sound line pauses for less. Only time spent waiting for the client counts.",
            reloadable=True,
            minimum=1,
            maximum=600,
        ),
    ] = 30.0
    silence_seconds: Annotated[
        float,
        Setting(
            "How long a client may send nothing of a body (408), or take nothing of an answer (disconnected).",
            "60 s: a pause that long is the end. In a body, limits.min_body_bytes_per_second mostly acts sooner.",
            reloadable=True,
            minimum=1,
            maximum=3600,
        ),
    ] = 60.0
