"""Workload signatures: what was enrolled, and how close a stretch of telemetry is to it.

- `types`: the record of an enrolled workload.
- `library`: signatures of one meter put side by side, and distances of windows to each.
"""
