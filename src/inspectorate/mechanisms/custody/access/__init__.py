"""Challenge inspections: within the quota, in time, and what left meanwhile.

It establishes: by inspectors' signed words, whether a party let them in within the clock, whether it refused, and whether people
and vehicles left unlooked at while they waited.

It cannot establish: what the inspection would have seen in time; nor that the inspectors tell the truth, who are one side.

It is fooled by: what leaves before the request, and by a site that was emptied within the clock
through an exit that nobody watched.

    judge     requests and logs held against quota and clock: one `Case` each, faults by name
    acts      statements about to be made
"""

from inspectorate.mechanisms.custody.access.judge import (
    Access,
    AccessFault,
    AccessFound,
    Case,
    Logged,
    Outcome,
    Requested,
    judge_access,
    read_access,
)

__all__ = [
    "Access",
    "AccessFault",
    "AccessFound",
    "Case",
    "Logged",
    "Outcome",
    "Requested",
    "judge_access",
    "read_access",
]
