"""A server and the ticks of its intake, from start to end.

Rules:

- Neither runs without the other: a server whose intake stands still takes nothing, and both end where one fails.
- At the end, reports that wait for their tick get it and their answer; nothing else is waited for.
- Of faults of this program, kinds and places in the code are said, and what is wrong with disk, log or list of offices, at fixed
  hours whether there was anything or not: neither a line nor its time tells that somebody came.
- Nothing in this process writes a log: libraries, and the event loop itself, put parts of requests into theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable

from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.web.server import Server

SAY_S = 3600.0
_TICKS_TO_END = 20
"""A report that is finished has at most its window of blocks to be written; busy ticks take some of it each."""


async def serve(intake: Intake, server: Server, sock: socket.socket, say: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT, or until the intake fails, which raises what it raises."""
    loop = asyncio.get_running_loop()
    logging.disable(logging.CRITICAL)
    loop.set_exception_handler(lambda _, context: server.count(context.get("exception")))
    asked = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, asked.set)
    ticks = loop.create_task(intake.run())
    ending = loop.create_task(asked.wait())
    telling = loop.create_task(_tell(server, intake, say))
    try:
        await server.start(sock)
        await asyncio.wait({ticks, ending}, return_when=asyncio.FIRST_COMPLETED)
        await server.stop(within_s=0.0 if ticks.done() else _TICKS_TO_END * intake.settings.tick_s)
    finally:
        for task in (ending, telling):
            task.cancel()
        await intake.stop()
        await ticks
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(one)


async def _tell(server: Server, intake: Intake, say: Callable[[str], None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(SAY_S)
            say(told(server, intake))


def told(server: Server, intake: Intake) -> str:
    """Faults of the program so far and of the store as it is, or that there were none."""
    faults = sorted(server.faults) + ([intake.fault] if intake.fault else [])
    return "; ".join(faults) or "no fault"
