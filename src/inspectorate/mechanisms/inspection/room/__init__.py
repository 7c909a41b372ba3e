"""Rooms: a session at the site in which code and data stay where they are, and only words of a closed list leave.

    types    the forms that an output may have, the entries of the log, and how many bits each lets out
    session  opening, reading inputs by digest, running jobs, the host's answer, release in slots, closing
    check    the judge: makes the sums of a log again, and finds what was dropped, changed, or outside of the list

It establishes: how many bits about the host's code and data the outputs of a session can have carried at most, and that the host
saw each of them before it left. It cannot establish what an inspector carries out in the head, nor that the inputs were the real
ones: their digests are for a commitment or a declaration to meet.

It is fooled by: jobs that signal by other ways than their output (the room runs on the host's machine, which the host can watch and
the inspector cannot wire); a machine whose clock is not the session's.
"""
