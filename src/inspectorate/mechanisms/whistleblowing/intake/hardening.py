"""What the process of an intake does against its own machine, and what it cannot do.

- No core dump: not of a fault, and not by another process of the same user reading its memory (`PR_SET_DUMPABLE`, which also ends
  `ptrace` and `/proc/<pid>/mem` for them).
- Its pages stay out of swap (`mlockall`), where the limit on locked memory allows it; the service unit sets that limit and forbids
  swap to the whole service (`MemorySwapMax=0`). Hibernation writes all memory to the disk: the machine must not be able to.
- No new privileges, and files for its owner alone (umask).

Whoever administers the machine reads the memory of any process, and sees what a source sends before it is sealed: against that
there is only sealing before handing in. Python keeps copies of text that nobody can overwrite: plaintext of a report may stay in
free memory of the process until that is used again or the process ends.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
"""prctl(2), mlockall(2). Pages are locked as they are first used, so that no room is taken for what never is."""

SWAPS = Path("/proc/swaps")


def harden() -> tuple[str, ...]:
    """Close the process in, for good; what could not be done, in words for the operator. Nothing at all: all was done."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = ctypes.CDLL(None, use_errno=True)
    lacks = []
    if library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        lacks.append("other processes of this user may read its memory (PR_SET_DUMPABLE)")
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        lacks.append("programs that it starts may gain privileges (PR_SET_NO_NEW_PRIVS)")
    if not _locked(library) and has_swap():
        lacks.append("its memory may be written to swap: raise the limit on locked memory, or switch swap off")
    return tuple(lacks)


def _locked(library: ctypes.CDLL) -> bool:
    """Lock all memory, now and later. Under a limit that is not done: what was allocated beyond it later would fail."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False
    return bool(library.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)


def has_swap(swaps: Path = SWAPS) -> bool:
    """Whether this machine swaps. Where that cannot be told, it does."""
    try:
        return len(swaps.read_text(encoding="ascii").splitlines()) > 1
    except OSError:
        return True
