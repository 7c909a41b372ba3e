"""Interface counters: what the ports of network gear say they have carried so far, as a second witness beside flows.

Establishes: how many bytes passed a port between two readings, exactly where the counter neither wrapped unseen nor was
reset, and within bounds where it did; that what entered a node left it, or that a port is missing; that two ends of a cable
agree; that flows which were exported do not contradict what the port counted; and with which period a port's load returns.

Does not establish: with whom traffic was exchanged, and what it was. Counters have no addresses.

How it is fooled: whoever holds the node can make it count what he likes. False counts must then be false in step at every
other port of the node, at the far end of every cable, and against flows: each is checked here, and none is a proof alone.

- `readings`: the one shape of a reading, whatever it was read from.
- Readers: `lines` (our own JSON lines), `prometheus`, `gnmi`, `linux`, `samples` (sFlow), `increments` (tables of increases),
  `snmp` (needs the extra `snmp`) and `parquet` (needs the extra `parquet`).
- `increase`: from readings to bounded increases, and everything odd on the way (`findings`).
- `levels`: bytes in any interval, at least and at most.
- `conservation`: in against out of a node, both ends of a cable, flows against counters.
- `period`: the period of a port's load, with a significance level.
- `view`: a counter sensor as evidence in a review.
- `polling`: from sources to signed segments.
- `reference`: every constant.

Nothing is re-exported: a collector on a gateway loads neither what appraises nor what an extra brings.
"""
