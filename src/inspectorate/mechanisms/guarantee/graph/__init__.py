"""Declared computations, and checking them by recomputation.

A job is declared before it runs, as a graph of blocks over committed weights (`types`). What is then checked, each by itself:

    flop        what a token costs by that graph, beside what the ruleset lists
    weights     that a file holds the declared parameters, no more and no less
    memory      that a server still holds those bytes: sampled blocks under a committed root
    freivalds   a product C = A B, from the values, in O(n^2)
    answers     that sampled answers are those of this graph, by an independent evaluation (`evaluate`, `operations`)
    observe     that the bytes that moved are those that such a job must and may move
    recheck     the same as `answers`, for the processor: in a process of its own, under limits
    transcript  requests and answers of a completion service, as tokens

It establishes that values that were observed belong to the declared graph, up to a stated tolerance, and says how many bits a
token that tolerance leaves to a server that wants to signal.

It cannot establish that nothing else ran beside the graph: what does not leave the chips, and takes no counted energy or time, is
not seen. It is fooled by whoever knows beforehand what will be sampled: commit first, then draw.

Sources: Petrie, Aarne, Ammann, Dalrymple 2025 (arXiv 2506.03409); Freivalds 1977; Higham 2002; DiFR (arXiv 2511.20621).
"""
