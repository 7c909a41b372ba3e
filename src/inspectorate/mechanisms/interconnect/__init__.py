"""Interconnect limits: what passes between pods, and between pods and the outside, from network gear alone.

Establishes: lower and upper bounds on the bytes that crossed each observed pod link in each interval; that a pod stayed
below a limit, or did not; that two pods exchanged traffic they had not declared; that two pods exchanged traffic in step
through a third party; and from a limit that was verified, how much several pods can add up to one training run.

Does not establish: what happens inside a pod; what crosses a link that no sensor watches (a second cable, a radio); what
bytes mean. A training run within one pod sends nothing.

How it is fooled: an exporter that the prover holds can leave out what it likes, so the holder of each sensor is named in
every assumption; a relay that pads and delays breaks the matching of exchanges; traffic that imitates inference in volume
and shape passes, up to the limit.

- `plan`: what a limit leaves to training, and which limit leaves so little; the factor for the account.
- `flows`: decoders of sFlow, NetFlow, IPFIX, pcap and GoFlow2 JSON, and sums over pods and intervals.
- `receive`, `segments`, `collector`: from UDP to signed segments.
- `counters`: interface counters as a second witness.
- `observe`: streams to traffic per pod and interval, with what was not seen.
- `coordination`, `synchrony`: exchanges in step; pods in lock-step.
- `topology`: cabling, declared against seen, and bandwidth around the gateway.
- `enforce`: the limit in the kernel of a gateway, loading windows, attestations.
- `appraise`: clauses.
- `reference`: constants that several of them share.

Nothing is re-exported: a collector on a gateway does not load what appraises.
"""
