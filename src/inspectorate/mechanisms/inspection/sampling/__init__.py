"""Plans: how many chips, packets or points of time must be looked at for which power, and what a sample that was looked
at bounds.

    shavit       chips of a fleet, inspected for a record of their work (arXiv 2303.11341)
    packets      a share of all work packets, recomputed at random
    audit        what clean samples bound; why totals go blind as a fleet grows
    allocation   sample sizes over runs and sites, and the adversary's best answer to them
    adversaries  where dirt may lie; `power`: how often a plan finds it, exactly and by drawing
    bounds       after a replay: the dirty share of the committed time that may remain
    sequential   looking after every packet, without paying for it
    published    every published number, beside ours

Rules:

- Power is stated for the adversary's best answer to the plan, not for dirt that lies at random.
- What was drawn and not shown, or not run, counts as dirty.
- A run that cannot exist (more FLOP than the chips give) is flagged, and has no sample size.
"""
