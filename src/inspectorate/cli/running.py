"""What commands that run for a while and sign statements share: how they are asked to stop, and the log they append to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from inspectorate.errors import InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger import Log


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came; their former handlers are put back at the end."""
    came: list[int] = []
    former = {
        number: signal.signal(number, lambda got, _: came.append(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def ledger_append(
    stack: contextlib.ExitStack, ledger: Path | None, ledger_key_path: Path | None, key: SigningKey
) -> Callable[[bytes], None] | None:
    """What to call with each statement's digest: one durable append to the log, if there is one.

    The log signs with its own key, or with that of the statements. Raises `InputError` on a log's key without a log.
    """
    if ledger is None:
        if ledger_key_path is not None:
            raise InputError("is of no use without --ledger", where="--ledger-key")
        return None
    log = stack.enter_context(Log.open(ledger, SigningKey.read(ledger_key_path) if ledger_key_path else key))

    def append(digest: bytes) -> None:
        log.append([digest])

    return append
