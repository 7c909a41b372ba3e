"""Workload signatures: what chips do, told from power, load and traffic by closeness to what an inspector saw approved.

It establishes: that a pod's telemetry stayed as close to an enrolled workload as that workload's own runs are to one another, or
when it did not; that meters of one load agree, or that series are copied, replayed, frozen or contradict each other; and, where
training was recorded beside the workload, how much of it could have been hidden.

It cannot establish: what a workload computes; that the code which was read is the code that ran; anything about chips that no meter
measures. Where the sensor does not tell training from the workload, it abstains.

It is fooled by: a workload that was enrolled with training already in it (the inspector reads the code); rare bursts, slow ramps
and small micro-batches within the usual spread, at the prices that `inspectorate workloads attack` prints; meters that all belong
to one holder and lie alike with fresh noise. A second meter of another holder, limits between pods and re-execution stand against
these.

Source of the protocol: Scher & Thiergart 2024 (arXiv 2506.15867), signatures of high-level chip measures.
"""
