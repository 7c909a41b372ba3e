"""What offices do with a report, from opening to the end: a case that no office can make, hand over or bury alone.

    acts        the closed list of what an office does; what a source says, part by part
    entries     signed entries in one chain per office, which hold one another
    state       what follows from them, and the rules of quorum
    naming      names of cases and files, and commitments, out of the source's secret thread
    store       the folder of an office: sealed, filled up, never in clear on a disk
    desk        one office at work: acts, takes over what others did, receives
    opening     from an opened report to a case
    link        a claim tied to agreement and declaration
    leads       statements for all parties: leads, their end, inspections within the quota
    handover    to another office, whole or as claims alone
    heads       published commitments that show what was cut off
    board       answers to sources
    deadlines   what is due by when, retaliation first
    alike       texts that may have one author or one origin
    clean       copies of files without metadata; `clean_worker`: the closed-in process
    stats       counts by quarter that reveal no one

Nowhere is there a figure for how far a source is to be believed, and no order among sources. What comes of a case is a lead, a step
of the ladder that an office asks for, and an inspection within its quota; never a verdict.

Holding a claim against machine evidence is done by `inspectorate.corroboration`; `cases corroborate` composes both.

It cannot establish: who a source is, or that what they say is so; that somebody in an office did not tell others of what they read.

Sources: Baker et al. 2025 (arXiv 2507.15916), on human sources: what was seen, what could not be known, what corroborates it, and
the ladder; arXiv 2511.10783, Article X.
"""
