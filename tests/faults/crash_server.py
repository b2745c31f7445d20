"""Runs pushes and deletes in processes that are meant to die: `python -m tests.faults.crash_server`, driven over stdin.

Everything is imported once; each order is carried out in a fork of this process, which has neither threads nor an event
loop yet. That makes a crash cost milliseconds, so that all of them can be tried at each merge.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from entrepot.bootstrap import Dispatcher
from entrepot.kernel import failpoints
from entrepot.kernel.failpoints import Failpoint, arm_failpoints
from entrepot.settings import Settings, parse_dumped_settings
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.faults.image import one_layer_image
from tests.faults.pushing import AcknowledgementLog, delete_image, push_image

__all__ = ["Order", "Outcome"]

_NEVER = 1_000_000
"""A count that no push reaches: arms a failpoint only to count how often it is passed."""


class Order(msgspec.Struct, frozen=True):
    """One flow: settings as JSON, what kills it, which image it is about, and the file for acknowledgements.

    `script` (`module:name`) is run in place of `flow` where it is given: a coroutine function of client, seed,
    repository and log.
    """

    settings: str
    failpoints: str
    seed: int
    repository: str
    acknowledgements: str
    flow: Literal["push", "delete"] = "push"
    script: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """How the process ended, and, if it did not crash, how often each failpoint was passed."""

    signal: int
    exit_code: int
    passes: dict[str, int]


def main() -> None:
    """Carry out orders until standard input ends."""
    # What the product imports only when it is configured is imported here once rather than in every fork.
    importlib.import_module("entrepot.blobstore.s3.store")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    for line in sys.stdin.buffer:
        outcome = _run(msgspec.json.decode(line, type=Order))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


def _run(order: Order) -> Outcome:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        _carry_out_and_exit(order, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read()
    status = os.waitpid(process, 0)[1]
    passes = msgspec.json.decode(report, type=dict[str, int]) if report else {}
    if os.WIFSIGNALED(status):
        return Outcome(os.WTERMSIG(status), 0, passes)
    return Outcome(0, os.WEXITSTATUS(status), passes)


def _carry_out_and_exit(order: Order, report: int) -> None:
    code = 1
    try:
        asyncio.run(_carry_out(order))
        counted = {name.value: _NEVER - left for name, left in failpoints._armed.items()}
        os.write(report, msgspec.json.encode(counted))
        code = 0
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


async def _carry_out(order: Order) -> None:
    settings: Settings = parse_dumped_settings(order.settings.encode())
    log = AcknowledgementLog.open(Path(order.acknowledgements))
    application = Dispatcher(settings)
    async with running_lifespan(application):
        counting = ",".join(f"{name}:{_NEVER}" for name in Failpoint)
        arm_failpoints(order.failpoints or counting)
        client = AsgiClient(application)
        if order.script:
            module, _, name = order.script.partition(":")
            await getattr(importlib.import_module(module), name)(client, order.seed, order.repository, log)
            return
        do = push_image if order.flow == "push" else delete_image
        await do(client, one_layer_image(order.seed, order.repository), log)


if __name__ == "__main__":
    main()
