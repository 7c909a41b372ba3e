"""Power of the second look at training data, which runs nothing again: `python -m bench replay_memorised`.

Runs of tiny models, one packet of each looked at: honest, trained on other data than shown, trained on hidden data beside. Printed:
how often the claimed items are seen to have been trained on, and how often the effect is too small for an honest run.
Exits 1 where honest runs are taken for dishonest more often than is stated (beyond what chance allows).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.inspection.rerun.measure import ENCLOSURE
from inspectorate.mechanisms.inspection.rerun.memorised import Gains, Stretch, gains_apart, too_little, trained_on
from inspectorate.mechanisms.inspection.transcripts.types import TrainingContent
from inspectorate.statistics.sampling import clopper_pearson_lower
from inspectorate.worlds import training_spoofs as spoofs
from inspectorate.worlds.training_runs import TINY, Deed, setting_of, train, write_run

LEVEL = 0.05
OUT = Console(width=120)
KINDS: dict[str, Deed | None] = {
    "honest": None,
    "other data than shown": spoofs.swapped,
    "a hidden step beside": spoofs.hidden_within,
    "a hidden host beside": spoofs.more_hosts,
}


def gains(folder: Path, rng: np.random.Generator, count: int, deed: Deed | None, steps: int) -> list[Gains]:
    """One packet of each of `count` runs; twice as many items are held back as are claimed."""
    packets, looked_at = 6, 2
    stretches = []
    for number in range(count):
        setting = setting_of(rng, steps=steps, packets=packets, items=packets * steps * TINY.rows)
        reader = write_run(train(setting, {} if deed is None else {looked_at: deed}, rng), folder / str(number))
        contents = [packet.content for packet in reader.packets()]
        later = [one for one in contents[looked_at + 2 :] if isinstance(one, TrainingContent)]
        content = contents[looked_at]
        if isinstance(content, TrainingContent):
            stretches.append(
                Stretch(folder=reader, content=content, held=tuple(b for one in later for b in one.batches))
            )
    return gains_apart(stretches, TINY, ENCLOSURE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    table = Table(
        "steps of the packet", "kind", "effect", f"seen as trained on (p <= {LEVEL})", f"too little (p <= {LEVEL})"
    )
    met = True
    with tempfile.TemporaryDirectory(prefix="replay-memorised-") as made:
        for steps in (2, 8):
            known = [one.effect for one in gains(Path(made) / f"known-{steps}", rng, asked.runs, None, steps)]
            for kind, deed in KINDS.items():
                found = gains(Path(made) / f"{steps}-{kind}", rng, asked.runs, deed, steps)
                seen = sum(trained_on(one, rng) <= LEVEL for one in found)
                little = sum(too_little(one, known)[0] <= LEVEL for one in found)
                effect = np.median([one.effect for one in found])
                table.add_row(str(steps), kind, f"{effect:.2f}", f"{seen}/{len(found)}", f"{little}/{len(found)}")
                if deed is None:
                    met = met and clopper_pearson_lower(little, len(found), 0.01) <= LEVEL
    OUT.print(table)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
