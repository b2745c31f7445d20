"""Runs pushes and deletes in processes that are meant to die: `python -m tests.faults.crash_server`, driven over stdin.

Everything is imported once; each order is carried out in a fork of this process, which has neither threads nor an event
loop yet. That makes a crash cost milliseconds, so that all of them can be tried at each merge.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from entrepot.bootstrap import Dispatcher
from entrepot.kernel.failpoints import arm_failpoints
from entrepot.settings import Settings, parse_dumped_settings
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.faults.forks import COUNTING, serve_orders
from tests.faults.image import one_layer_image
from tests.faults.pushing import AcknowledgementLog, delete_image, push_image

__all__ = ["Order"]


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


def main() -> None:
    """Carry out orders until standard input ends."""
    # What the product imports only when it is configured is imported here once rather than in every fork.
    importlib.import_module("entrepot.blobstore.s3.store")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    serve_orders(Order, _carry_out_and_return)


def _carry_out_and_return(order: Order) -> int:
    asyncio.run(_carry_out(order))
    return 0


async def _carry_out(order: Order) -> None:
    settings: Settings = parse_dumped_settings(order.settings.encode())
    log = AcknowledgementLog.open(Path(order.acknowledgements))
    application = Dispatcher(settings)
    async with running_lifespan(application):
        arm_failpoints(order.failpoints or COUNTING)
        client = AsgiClient(application)
        if order.script:
            module, _, name = order.script.partition(":")
            await getattr(importlib.import_module(module), name)(client, order.seed, order.repository, log)
            return
        do = push_image if order.flow == "push" else delete_image
        await do(client, one_layer_image(order.seed, order.repository), log)


if __name__ == "__main__":
    main()
