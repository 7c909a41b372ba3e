"""Constants of the covered-cluster test and of what counts as splitting, each with its source.

What the agreement fixes stands in its clauses, not here: limbs, the share that is near, distances and times.
"""

from __future__ import annotations

HOSTS_MAX = 2_000_000
"""Hosts of one register. Ours: twenty times a fleet of 800,000 chips in servers of eight."""
LINKS_MAX = 5_000_000
"""Links of one wiring. Ours."""
PURPOSES_MAX = 100_000
"""Purposes given beside a register. Ours."""
CUT_WORK_MAX = 8_000_000
"""Edges that the search for cuts may visit before it gives up and takes what it could not tell apart as joined. Ours: a few
seconds. Wiring in which every host hangs from switches never comes near it; `python -m bench covered_clusters` tries others."""
ORDER_GAIN_MIN = 0.01
"""A pass of the maximum-adjacency order is repeated while it contracts at least this share of the nodes. Ours."""
EXAMPLES_MAX = 6
"""Joins of a kind that the derivation of one cluster names; the others it counts."""
NOMINAL_H100_TFLOP_PER_S = 990.0
"""FP16 dense, of one H100-equivalent (arXiv 2511.10783, Art. II para. 15)."""

H100E_SOURCE = "arXiv 2511.10783, Art. II para. 15: TPP = 2 x MacTOPS x bit length; one H100-equivalent = 15,840"
JOINED_SOURCE = "arXiv 2511.10783, Art. II para. 16"
BROKEN_SOURCE = "arXiv 2511.10783, Art. V para. 7: broken chips count as working until destruction is certified"
MEMORY_SOURCE = "arXiv 2605.29359, proposed amendment: accelerator memory above 16 x 80 GB"
"""Read in the abstract only, and second-hand: provisional."""
SPLIT_SOURCE = (
    "arXiv 2511.10783, Art. V para. 2 and 3: chips are neither disaggregated nor rotated to stay below a limb"
)

MONTH_S = 30 * 86_400.0
"""A month of reckoning: 30 days, as Shavit 2023 (arXiv 2303.11341), Table 1."""

FALL_OFF_MAX = 3.0
"""Null of the bunching test: among honest places, the number with k servers falls from k to k + 1 no faster than k^-3. Ours, and an
assumption: counts of firms by size fall like k^-1 (in cumulated form; Axtell, Science 293, 2001), that is k^-2 in places of
exactly k, and one power more is allowed for. Parties that know better agree another one."""
BETS = (0.5, 0.75, 0.9, 0.97)
"""How far from the null towards certainty the bets of the bunching test lie; their average is one e-value. Ours."""
FINDINGS_MAX = 1_000
"""Findings of splitting that are listed, largest sums first; the others are counted. Ours."""
ROTATIONS_MAX = 200
"""Of these, rotations. Ours."""
EARTH_RADIUS_M = 6_371_008.8
"""Mean radius (IUGG). Great circles on a sphere are within 0.6 % of the ellipsoid."""
