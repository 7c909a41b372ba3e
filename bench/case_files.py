"""What case handling's figures rest on: `python -m bench case_files [--folder DIR]`.

    noise     how far a published count is off, and how often an empty cell is shown
    attack    how often somebody who made up all other reports guesses rightly whether one more is there
    alike     pairs of paragraphs of one author on one subject (docs/*.md) that are pointed out; and how much of a copy must be
              reworded before it no longer is
    speed     entries per second that are read and followed

Exits 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from inspectorate.canonical import digest_of
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.acts import Noted
from inspectorate.mechanisms.whistleblowing.cases.alike import Told, alike, shingles
from inspectorate.mechanisms.whistleblowing.cases.entries import first_entry, read_entries, sign_entry
from inspectorate.mechanisms.whistleblowing.cases.stats import noise, noise_chance

DRAWS = 100_000
REWORDED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
COPIES = 60
CHANCE_PAIRS_MAX = 1e-3
ENTRIES = 2_000


def seeded(number: int) -> bytes:
    return bytes.fromhex(digest_of(f"draw {number}".encode())[7:])


def noise_figures(out: Console) -> bool:
    drawn = [noise(seeded(n)) for n in range(DRAWS)]
    far = sum(abs(value) > 6 for value in drawn) / DRAWS
    expected = 1 - sum(noise_chance(value) for value in range(-6, 7))
    empty = sum(value >= reference.CELL_MIN for value in drawn) / DRAWS
    spread = math.sqrt(sum(value * value for value in drawn) / DRAWS)
    out.print(f"noise: standard deviation {spread:.2f}; off by more than 6: {far:.2%} (closed form {expected:.2%})")
    out.print(f"       an empty cell is shown (as {reference.CELL_MIN} or more): {empty:.3%}")
    return abs(far - expected) < 0.01


def attack_figures(out: Console) -> bool:
    """The best guess, by the likelihood of what is shown, at the count where a cell is on the edge."""
    planted = reference.CELL_MIN - 1
    right = 0.5 * sum(
        max(chance(planted, value), chance(planted + 1, value)) for value in (None, *range(reference.CELL_MIN, 400))
    )
    bound = math.exp(reference.EPSILON / 2) / (1 + math.exp(reference.EPSILON / 2))
    out.print(
        f"attack: right in {right:.1%} of cases by the best guess (a coin: 50%; never more than {bound:.1%} from one table)"
    )
    return right <= bound


def chance(count: int, shown: int | None) -> float:
    if shown is None:
        return sum(noise_chance(value - count) for value in range(-400, reference.CELL_MIN))
    return noise_chance(shown - count)


def alike_figures(out: Console, folder: Path) -> bool:
    texts = [
        " ".join(part.split())
        for path in sorted(folder.glob("*.md"))
        for part in path.read_text(encoding="utf-8").split("\n\n")
        if len(part) >= 300 and not part.lstrip().startswith(("|", "```", "    ", "-", "#"))
    ]
    told = [Told(case=f"case-{n}", text=text) for n, text in enumerate(texts) if shingles(text)]
    pairs = len(told) * (len(told) - 1) // 2
    found = len(alike(told))
    out.print(f"alike: {found} of {pairs:,} pairs of {len(told)} paragraphs by one author ({found / pairs:.4%})")
    words = [word for text in texts for word in text.split()]
    chosen = random.Random(1)
    for share in REWORDED:
        noticed = 0
        for one in told[:COPIES]:
            copy = " ".join(chosen.choice(words) if chosen.random() < share else word for word in one.text.split())
            noticed += bool(alike([one, Told(case="copy", text=copy)]))
        out.print(
            f"       a copy with {share:.0%} of its words replaced is pointed out: {noticed} of {min(COPIES, len(told))}"
        )
    return found / pairs <= CHANCE_PAIRS_MAX


def speed_figures(out: Console) -> bool:
    key = SigningKey(seeded(0))
    keys = {"office-a": key.public}
    envelopes: list[bytes] = []
    previous = None
    when = time.time()
    entry = first_entry("case-1", Noted(text="x"), by="office-a", at=_time(0))
    for number in range(ENTRIES):
        step = entry.model_copy(update={"number": number, "previous": previous, "at": _time(number)})
        envelopes.append(sign_entry(step, key))
        previous = digest_of(envelopes[-1])
    made = time.time() - when
    when = time.time()
    read_entries(envelopes, keys=keys, where="case")
    read = time.time() - when
    out.print(f"speed: {ENTRIES / made:,.0f} entries signed, {ENTRIES / read:,.0f} read per second")
    return True


def _time(number: int) -> datetime:
    return datetime(2026, 3, 14, tzinfo=UTC) + timedelta(seconds=number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1] / "docs")
    given = parser.parse_args()
    out = Console(highlight=False)
    met = [noise_figures(out), attack_figures(out), alike_figures(out, given.folder), speed_figures(out)]
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
