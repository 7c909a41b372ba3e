"""Enrolment: what an inspector with code access saw run, recorded as the reference for later claims.

A session, each step by one command of `inspectorate enrol`, and what it rests on:

1. `open`: the manifest (hardware, software, digest of the code, operating range) and the plan (meter, units, signals, and the
   clause by which the session is judged) are signed before anything is recorded.
2. `record`: separate runs of the workload under stated settings, and contrasts (idling, training), as signed segments of one
   declared meter. What has a gap, a copy, a repeat or a sensor that stands still is refused.
3. `sufficiency`: whether that is enough for the false-alarm rate that the agreement asks.
4. `close`: the workload signature and its reference telemetry, signed; nothing adapts later.

What it establishes: that an inspector's key vouches for which code ran on which pods while these series were measured. What it
cannot: that the code does what its reader believed, that the meter tells the truth (`integrity`, and who holds it), or that
later operation is like the enrolled runs. It is fooled by an operator that behaves differently while an inspector is there, as
far as behaviour within the operating range differs; narrow ranges and separate runs are what stands against it.

- `manifest`, `code`: what people write, checked against the declaration; one digest for a folder of code.
- `types`, `folder`, `session`: the records, the durable folder, and the steps over it.
- `recording`, `soundness`: from a spool of segments to one run, or to the reasons why it is none.
- `profile`, `sufficiency`, `drift`: how runs differ, whether they are enough, whether later ones have moved away.
- `reference_telemetry`, `load`: the table of all runs, and reading a signature back as a verifier does.
- `compare`: what differs between two enrolments.
"""
