"""What the programs of the bench share: JSON lines on standard output, waiting for a wall-clock time, text to learn from.

The text is the language reference that ships with Python (`pydoc_data.topics`, about half a million characters of
English): real prose, on every machine, nothing to fetch.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics
from typing import NoReturn


def emit(event: str, **fields: object) -> None:
    """Write one JSON line with the time of writing."""
    sys.stdout.write(json.dumps({"event": event, "at": round(time.time(), 3), **fields}) + "\n")
    sys.stdout.flush()


def leave() -> NoReturn:
    """End this process at once, as one that succeeded.

    Threads of gloo may outlive the interpreter, and abort a process whose work is done (pytorch/pytorch pull request 179291): so
    nothing is torn down.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def wait_until(at_unix_s: float) -> None:
    """Sleep until a wall-clock time; return at once if it has passed."""
    while (left_s := at_unix_s - time.time()) > 0:
        time.sleep(min(left_s, 1.0))


def wait_for(path: Path | None) -> None:
    """Sleep until a file is there, so that several jobs begin at one time; none: return at once."""
    while path is not None and not path.exists():
        time.sleep(0.01)


def corpus() -> bytes:
    """The text, in one fixed order."""
    return "\n".join(topics[name] for name in sorted(topics)).encode()
