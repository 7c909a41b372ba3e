"""Code review: an inspector's assistant over a declared snapshot of a repository. It points and explains; a person decides.

    snapshot, archives  every file by digest, from a folder or an archive
    source              text as a tree, under limits
    project             modules, scopes, bindings
    lookup, calls, evaluate, folding, values, knowledge    what an expression may stand for
    rules(.yaml), names, weights, patterns, other_files    pointers, each with the rule that made it
    reach               what the declared entry point leads to
    review              all of that, and what cannot be seen
    difference          since the last approved snapshot
    probe, run          the entry point run closed in, with every parameter that changed
    techniques(.yaml)   what the agreement may allow, as data
    decision            what a person decided, for a signed statement

It establishes which places of the declared text may change parameters, by rules that anyone can read, and what was not read.

It cannot establish that the code which runs is this code, nor that no parameter can change: native code, dependencies outside of
the snapshot, names from data, and whatever a rule does not know are not seen. It is fooled by code that is not in the snapshot, and
by arithmetic that looks like none of the patterns.
"""
