"""A session of trials: run what is asked for and not done yet, keep each result as soon as it is there.

Results are one JSON object a line in `trials.jsonl`, in the order in which they were measured. A trial that is there
already is not run again, so a session that was broken off goes on where it was; of a name that is there twice, the
last line counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from inspectorate.canonical import parse_json
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab.shaping import Enforce, shape
from inspectorate.lab.trial_matrix import Planned
from inspectorate.lab.trial_result import Result
from inspectorate.lab.trial_run import Trials

RESULTS = "trials.jsonl"
RESULTS_BYTES_MAX = 64 * 1024 * 1024

Progress = Callable[[str, float], None]
"""Called with what is going on and the share of the session that has passed (0 to 1)."""


def read_results(folder: Path) -> dict[str, Result]:
    """The results of a folder by name of the trial; none if there is no file yet. Raises `InputError` on damage."""
    path = folder / RESULTS
    if not path.exists():
        return {}
    if path.stat().st_size > RESULTS_BYTES_MAX:
        raise InputError(f"has more than {RESULTS_BYTES_MAX} bytes", where=str(path))
    found = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        where = f"{path}:{number}"
        one = Result.parse(parse_json(line, where=where), where=where, error=InputError)
        found[one.trial.name] = one
    return found


def run_session(
    planned: Sequence[Planned], folder: Path, progress: Progress, *, enforce: Enforce = shape, again: bool = False
) -> tuple[Result, ...]:
    """Run what is planned and missing (`again`: all of it); returns the results of all that is planned, in its order.

    Raises `InputError` if nothing is planned, `EnvironmentError_` if the machine lacks something or a worker fails.
    """
    if not planned:
        raise InputError("no trial was asked for", where="trials")
    done = read_results(folder)
    missing = [one for one in planned if again or one.trial.name not in done]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        share = 0.0
        with Trials(folder, lambda message: progress(message, share), enforce=enforce) as bench:
            for number, one in enumerate(missing):
                share = number / len(missing)
                measured = bench.measure(one.trial, calibrations=one.calibrations)
                keep(folder / RESULTS, measured.model_dump_json())
                done[one.trial.name] = measured
    return tuple(done[one.trial.name] for one in planned)


def keep(path: Path, line: str) -> None:
    """Append one line. Raises `EnvironmentError_`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
