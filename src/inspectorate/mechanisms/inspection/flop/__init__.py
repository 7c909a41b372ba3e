"""FLOP of a run from several sources, joined as ranges.

    rule          which operations count, and for how much: the agreement's rule on formats
    architecture  what a model is, as far as its FLOP go; analytic: what one pass through it takes
    work          what a run did with models: train, tune, answer, decode speculatively; and the range of FLOP that this takes
    trace         (torch) a recorder for a training loop or a server: operations by operator, format and phase
    tracefile     the record that it writes, and its reader, without torch
    implied       what chips, wall time, energy and memory allow
    triangulate   ranges of all sources, joined: the verified range, contradictions, and what is left unexplained
    facts         what an account is made of, and who stands for it; signs: what facts say by themselves
    account       the record of all of it; judge: makes it again at review, and says what is wrong
    text          the same as a table

It establishes: between which bounds the FLOP of declared work lie, who would have to lie for it to be otherwise, and how much more
the chips could have done beside it. It cannot establish that nothing was done beside it: only that no more than so much was.

It is fooled by: a described model or amount of work that nobody looked at; meters of one holder that lie alike; kernels that a
trace does not see (they are listed where it notices them, and the bound is then open).
"""
