"""Custody: which chips there are, where they stand, who looked, and who was let in.

It establishes: that every chip the party registered is in one place by its own signed word, and changed places only with notice and
approval; by counting, at a stated confidence, what share of them can be missing; that seals and watched racks held them there
between counts; where a device can stand at most, by the speed of light; what counts as a covered cluster, step by step.

It cannot establish: that chips were never registered at all. Supply figures bound that, with wide ranges; whistleblowers see it.
What the chips do.

It is fooled by: a register that was short from the first day; serials copied onto other boards; seals made twice; cameras that see
a picture of the rack; a host that is let in late.

    register/   the register as a table and its changes as statements: double entry, transfers, destruction, clocks
    clusters/   the covered-cluster test over any wiring; pieces just below a limb; the published tables
    supply/     production and sales against declared stocks
    counting/   how many places to open, the draw, the checklist, what a count shows
    seals/      photographs of seals compared, with measured error rates
    cameras/    video of racks: covered, moved, frozen, replayed, doors and cables
    location/   regions from signed round-trip times
    access/     challenge inspections: quota, clock, log
    observe, appraise/   statements in order; one module per kind of clause

Sources: Scher & Thiergart 2024 (arXiv 2506.15867), on locating compute; arXiv 2511.10783, Articles II, V and X; Shavit 2023 (arXiv
2303.11341), on inspecting chips.
"""
