"""Covered chip clusters: what is joined, what it weighs, and whether it was split to stay below.

It establishes: over the wiring and places that a register declares, which chips form one cluster, by which limb, and whether the
sum is strictly above the clause's; in exact arithmetic, with every step. Which pieces below a limb would be above it together, and
which chips passed through one place in turn.

It cannot establish: that the wiring and the places are as declared (counting, seals, cabling surveys). Why somebody keeps sixteen
chips: two standard servers are sixteen, and stay just below the limb for honest reasons.

It is fooled by: chips that no register has, links that none declares, and pieces held under several owners' names or farther apart
than the clause looks.

    network, ways    classes of hosts by cuts; ways between two hosts, for people
    hosts, judge     masses and the test          explain      the derivation, in words and as a record
    tables           published tables (G4, G5), recomputed
    splitting        what was kept in pieces or moved about: pieces and nearby (in space), moving and presence (in time)
    bunching         whether pieces stand in one heap just below the limb
"""

from inspectorate.mechanisms.custody.clusters.explain import JudgedCluster, explain
from inspectorate.mechanisms.custody.clusters.judge import (
    Difference,
    Judged,
    Manner,
    Outcome,
    Purpose,
    Reading,
    differences,
    judge_clusters,
)
from inspectorate.mechanisms.custody.clusters.moving import Move, Snapshot
from inspectorate.mechanisms.custody.clusters.presence import Seen
from inspectorate.mechanisms.custody.clusters.splitting import (
    Ground,
    Piece,
    Split,
    SplitKind,
    Splitting,
    find_splitting,
)

__all__ = [
    "Difference",
    "Ground",
    "Judged",
    "JudgedCluster",
    "Manner",
    "Move",
    "Outcome",
    "Piece",
    "Purpose",
    "Reading",
    "Seen",
    "Snapshot",
    "Split",
    "SplitKind",
    "Splitting",
    "differences",
    "explain",
    "find_splitting",
    "judge_clusters",
]
