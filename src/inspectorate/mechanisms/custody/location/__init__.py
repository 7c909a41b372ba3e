"""Location: where a device can stand at most, by the time that its signed answers take to landmarks of the verifier.

It establishes: a region outside of which the key that answered was not. Light goes no faster than in vacuum, so a device that
answers within t is within t/2 times c of the landmark, whatever the route. Delays can only be added: queues, detours, relays and a
device that waits all make the region larger.

It cannot establish: that the chips stand beside the key. That the key did not leave the device is an assumption: a key that was
copied to a box near the landmarks answers from there. A relay does not help: it adds a delay, and the key is where it is.

    reference    the speed of light, in vacuum and in fibre; the Earth; bounds
    sphere       caps on a sphere: whether they meet, and what of them is farthest from a place
    region       from times to a region around a declared position, on the safe side in every step; GeoJSON in `drawing`
    routes       what delays usually mean, from measured routes between known places: tighter, with a confidence, and apart
    protocol     the datagrams; `responder` answers, `prober` asks and takes the time
    record       round trips as they are stated; `judge` has check_round_trips and check_uses: faults as data, by name in `faults`
    acts         the statement

Rules:

- What is subtracted from a time would have to be attested: nothing is. Processing in the device counts as distance.
- Only the sum of both ways is used. Asymmetric routes change nothing.
- The least of many round trips is taken for each landmark. A single good answer bounds; a thousand slow ones do no harm.
- Where landmarks stand comes from the reviewer, never from evidence.
- An empty region is a contradiction: a clock, a position of a landmark or a key is false. It is never a place.

Sources: B. Gueye, A. Ziviani, M. Crovella, S. Fdida, "Constraint-Based Geolocation of Internet Hosts", IEEE/ACM Transactions on
Networking 14, 2006 (regions as intersections); Scher & Thiergart 2024 (arXiv 2506.15867), on locating chips by pings.
"""
