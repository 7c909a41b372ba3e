"""Whistleblowing: somebody who knows can say so to several parties at once, and nobody can find or bury it alone.

It establishes: that a way to report stood open, and that no report that entered it was lost to the offices that collected it; what
sources said, as leads beside what machines show of the same place and time; what follows, by when, and who asked for it.

It cannot establish: that what a source says is so; that nobody was kept from reporting; that a report came from who it says. No
figure says how far a source is to be believed, anywhere.

It is fooled by: an intake that shows a source other pages than those it should, or keeps what it receives before it is sealed; a
quorum of offices that work together; a source's own machine, room or phone that is watched; reports that are made up to send
inspectors elsewhere.

    sealing/   a report sealed to offices of several parties, of which only several together can open it; code phrases
    intake/    the store of a running intake: batches of one size, a fixed rhythm, commitments; what offices collect; replies
    web/       the pages and the server that a source sees
    cases/     what offices do with a report: claims, links, corroboration, hand-over, deadlines, figures that reveal nobody
    observe, appraise/   statements in order; the kind of clause `reporting-channels`

Sources: Scher & Thiergart 2024 (arXiv 2506.15867), on whistleblowers; arXiv 2511.10783, Article X; Baker et al. 2025 (arXiv
2507.15916), on whistleblower programmes.
"""
