"""Cameras that watch racks: what a stretch of video shows of them, in statements that anybody can check again.

It establishes: that a place was in sight, or not, for how long; that its door stood open or its cabling changed; that the
picture was not covered, blurred, turned, frozen, or shown before; and, where a lamp of the verifier stands in the picture, that
the picture followed a pattern which nobody could know in advance.

It cannot establish: what happens behind a closed door; who walked by; what a camera of the prover's never saw. A picture that is
made up frame by frame, as fast as the camera is, answers every challenge.

It is fooled by: a made-up picture with the right delay (`challenge` states which delay); a frozen picture on which the lamps of
devices are made to blink afresh; a stand-in for the rack that looks like it; a person who stands before a door, which is then
unseen.

    regions      what of the picture is which rack, door, cabling, lamp: said by an inspector who stands there
    source       frames from files and from RTSP, under bounds
    sight        what one frame shows, held against what was enrolled
    spots        lamps of devices as a fingerprint of time: what never repeats
    enrol        reference pictures and thresholds, and the rate of false alarms that they had
    decide       from frames to events
    challenge    the verifier's lamp: patterns from a promised secret, and whether the picture followed
    watch        video in, numbered segments out
    written      the payload of a segment, line by line
    judge        segments in order, counted again, searched for repetitions
    page         frames before and after an event, for a person to look at

An event is no verdict: a person looks at the frames, and decides.
"""
