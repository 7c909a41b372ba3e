"""Cabling: what is wired to what, as declared and as seen, and what two pods can exchange over it.

Establishes: every difference between a plan and surveys of it; which declared wires were seen from which end; the largest
bandwidth between two pods over all that is wired, with and without the gateways, and which wires carry it.

Does not establish: that there is no other wire. LLDP and the subnet manager show ports that speak; a port that keeps silent, a
serial line, a radio, a second adapter in another's rack are not shown. Nor who a device is: names, chassis ids and rates are
what it says of itself, without a signature. A prover that controls both ends of a wire can hide it, rename it, or show one that
is not there. Against that stand counters (a port that carries octets and shows no neighbour), the verifier's own devices at one
end, and people who look at ports (docs/topology.md).

- `graph`: the type that all readers give. `rates`: words for rates.
- `dot`, `plan`: plans. `lldp`, `infiniband`: surveys (`survey`). `read`: files to those, by what they are.
- `seen`: surveys joined under the plan's names. `compare`: differences.
- `flow`, `bandwidth`: cuts.
- `reference`: every constant.
"""
