"""Inspection: read the code, count the FLOP, and run a sample again that the operator could not choose.

It establishes: that what a prover committed to, packet by packet, is what a run of the shown code on the shown data gives, but for
a stated share at a stated confidence; what that took in FLOP, by several sources; which code inspectors approved, and which
techniques are in it; how many bits a check lets through unseen.

It cannot establish: that chips did nothing beside what was committed to (meters and limits bound that); what code does that never
ran while an inspector looked; anything below the tolerance of a check, which every result states.

It is fooled by: work that was never committed to; code that knows when it is looked at; results within the tolerance; a verifier's
stack that differs from the prover's in a way that the calibration did not see; a sample that the prover could foresee.

    transcripts/  what a training loop or a server writes: packets, commitments, checkpoints by digest
    sampling/     plans: how many packets, chips or hosts for which power
    challenge/    promise, draw, opening: the sample is drawn after the commitment, by what both sides can check
    rerun/        training packets run again, in a process of their own, within a calibrated tolerance
    tokens/       answers of a model checked: exact, TOPLOC, DiFR; and what each check lets through
    flop/         FLOP from several sources, joined as ranges
    code/         a person's assistant in reading code; the decision is the person's
    room/         sessions at the site in which code and data stay where they are
    appraise/     one module per kind of clause

Sources: Shavit 2023 (arXiv 2303.11341); Choi, Shavit, Duvenaud 2023 (2307.00682); Scher & Thiergart 2024 (2506.15867), sections on
accounting, re-running and inspectors; TOPLOC (2501.16007); DiFR (2511.20621).
"""
