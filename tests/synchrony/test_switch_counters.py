"""The ports of a real training cluster: which of them does the test find in lock-step?

Counters of five leaf switches of a cluster of 2,024 GPUs that trains language models, one hour, read every 0.56 s. Ports
stand in for pods. Nobody recorded which job had which ports, so the check is against what the plain series say: ports whose
changes of traffic correlate strongly are of one job.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inspectorate.mechanisms.interconnect.synchrony.process import PairEvidence, Traffic, pair_evidence

parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
pytestmark = pytest.mark.data

INTERVAL_S = 2.0
GAP_MS = 2_000
PORTS = 40
BUSY_BYTES = 1e10
LOG_ALARM = float(np.log(1000))


@dataclass(frozen=True, eq=False)
class Found:
    pairs: list[tuple[int, int]]
    leaves: list[str]
    evidence: PairEvidence
    plain: npt.NDArray[np.float64]
    """Correlation of the changes of log traffic, per pair, with nothing removed."""

    @property
    def accused(self) -> npt.NDArray[np.bool_]:
        """Alarm of the site: named by Bonferroni over the pairs."""
        return self.evidence.log_e >= LOG_ALARM + np.log(len(self.pairs))

    @property
    def same_leaf(self) -> npt.NDArray[np.bool_]:
        return np.array([self.leaves[a] == self.leaves[b] for a, b in self.pairs])


@pytest.fixture(scope="module")
def found(data: Path) -> Found:
    table = parquet.read_table(data / "switch_counters" / "port_counters.parquet")
    times = table["t_ms"].to_numpy()
    octets = [table[name].to_numpy().astype(np.float64) for name in ("out_octets", "in_octets")]
    names = np.array([f"{s} {p}" for s, p in zip(*(table[n].to_pylist() for n in ("switch", "port")), strict=True)])
    order = np.lexsort((times, names))
    starts = np.flatnonzero(np.append(True, names[order][1:] != names[order][:-1]))
    parts = np.split(order, starts[1:])
    edges = np.arange(times.min(), times.max(), INTERVAL_S * 1000)
    busy = [p for p in parts if octets[1][p].sum() > BUSY_BYTES and len(p) > 1000 and "Two" in names[p[0]]]
    picked = sorted(np.random.default_rng(11).choice(len(busy), PORTS, replace=False).tolist())
    sent, received, observed, leaves = [], [], [], []
    for part in (busy[k] for k in picked):
        at = times[part]
        volumes = [np.diff(np.interp(edges, at, np.cumsum(of[part]))) for of in octets]
        late = np.flatnonzero(np.diff(at) > GAP_MS)
        seen = np.ones(len(edges) - 1, dtype=np.bool_)
        for gap in late:
            seen &= ~((edges[:-1] < at[gap + 1]) & (edges[1:] > at[gap]))
        sent.append(volumes[0])
        received.append(volumes[1])
        observed.append(seen)
        leaves.append(names[part[0]].split()[0])
    traffic = Traffic(
        sent=np.vstack(sent), received=np.vstack(received), observed=np.vstack(observed), interval_s=INTERVAL_S
    )
    pairs = list(combinations(range(PORTS), 2))
    log = np.log1p((traffic.sent + traffic.received) / (1000 * INTERVAL_S))
    both = traffic.observed.all(axis=0)
    changes = np.diff(log, axis=1)[:, both[1:] & both[:-1]]
    correlation = np.corrcoef(changes)
    plain = np.array([correlation[pair] for pair in pairs])
    return Found(pairs, leaves, pair_evidence(traffic, pairs), plain)


def test_ports_that_train_together_are_found_and_others_are_not(found: Found) -> None:
    strong, none = found.plain >= 0.4, found.plain < 0.05
    print(f"\n{len(found.pairs)} pairs of {PORTS} host ports, {int(found.accused.sum())} in lock-step")
    for name, mask in (("same leaf", found.same_leaf), ("different leaves", ~found.same_leaf)):
        print(f"  {name}: {int(found.accused[mask].sum())} of {int(mask.sum())}, ", end="")
        print(
            f"largest log e {found.evidence.log_e[mask].max():.0f}, median {np.median(found.evidence.log_e[mask]):.1f}"
        )
    for low, high in ((-1.0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 1.01)):
        mask = (found.plain >= low) & (found.plain < high)
        print(f"  plain correlation {low:g} to {high:g}: {int(found.accused[mask].sum())} of {int(mask.sum())}")
    print(f"  ports per leaf: {dict(Counter(found.leaves))}")
    assert strong.sum() > 20
    assert found.accused[strong].mean() > 0.5
    assert found.accused[none].mean() < 0.01


def test_lock_step_reaches_across_leaves(found: Found) -> None:
    """A job spans leaf switches, so both kinds of pairs are found."""
    assert found.accused[found.same_leaf].mean() > 0.1
    assert found.accused[~found.same_leaf].mean() > 0.1
