"""The guarantee processor (FlexHEG): rules that many parties sign, and one small, watched program that enforces them.

It establishes: which program and which ruleset stood on the path of the chips, vouched for by a TPM; that only listed models were
loaded; how much work the chips can have done at most, by the meters that the processor read; that nothing but a stated number of
bits left it.

It cannot establish: what the chips compute between two looks; anything about chips that are not behind it; that the machine below
the TPM is what it says. Without a TPM, whoever owns the machine speaks for the processor, and every report says so.

It is fooled by: a way around it (cabling and counters say whether there is one); whoever opens the machine, since in software there
is no enclosure; work that hides below its meters' resolution; a quorum that signs a bad rule.

    rulesets/     signed rules, quorums per kind of change, what may follow what; policy in CEL
    licences/     budgets for one device, spent and never restored
    metering/     what was used up, by whom it is told; the causal ledger of FLOP
    interlock/    the path itself: upload, serving, halting, freezing of local work
    attestation/  TPM: measured start, quotes, counters; and the verifier that needs none
    outlet/       all that leaves: fixed times, fixed sizes, a bit budget
    graph/        declared computations, and checking them by recomputation
    machine/      the state machine that joins them: pure transitions, and the state on disk
    appraise/     one module per kind of clause

Sources: Petrie, Aarne, Ammann, Dalrymple 2025 (arXiv 2506.15093, 2506.03409, 2506.15100); Kulp et al. 2024 (RAND WR-A3056-1).
"""
