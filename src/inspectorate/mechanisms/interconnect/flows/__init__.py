"""Flow exports and captured traffic: pure decoding and exact summing.

    decoder = FlowDecoder()
    table = PairTable(AddressMap.build({"pod-a": ["10.1.0.0/16"]}), edges_ns)
    for segment in segments:
        for batch in decoder.decode_segment(segment):
            table.add(batch.records)
    report = decoder.report()

Guarantees:

- sFlow v5, NetFlow v5 and v9 and IPFIX out of pcap and pcapng, in order of arrival; captured packets (`TapReader`) and
  GoFlow2 JSON lines (`GoFlow2Reader`) as further sources.
- No content raises. What is not decoded is counted under a name (`Rejection`), with its bytes and, where it could have
  carried traffic, with a gap in time (`Gap`).
- Byte sums are exact integers, and equal to nfdump's on the same traffic.
- Everything kept is bounded (`Limits`); equal input gives equal output.

Order of the modules: `outcomes`, `columns`, `kernels`, `loads`, `state`, `steps`; `packets`, `capture` (with `pcapng`);
`elements`, `templates`, `options`; `addresses`, `cells`, `sums`; the kernels `rows`, `quick`, `netflow`, `sflow`, `walk`;
`report`, `sequences`, `sources`, `settle`, `decoder`; then, apart from exporters, `tap`, `goflow2`, `sampling`, `unseen`.

Not done here: tunnels (VXLAN, GRE), InfiniBand and RDMA counters, NetFlow v1, v7 and v8, IPFIX over TCP or SCTP and in files,
templates kept over restarts, reassembly of IP fragments, sFlow v2 and v4.
"""

from inspectorate.mechanisms.interconnect.flows.addresses import AddressMap
from inspectorate.mechanisms.interconnect.flows.columns import (
    COUNTER,
    RECORD,
    Batch,
    Flag,
    address_of,
    counter_increase,
    halves,
)
from inspectorate.mechanisms.interconnect.flows.decoder import FlowDecoder, all_records
from inspectorate.mechanisms.interconnect.flows.goflow2 import GoFlow2Reader
from inspectorate.mechanisms.interconnect.flows.outcomes import Irregularity, Limits, Rejection
from inspectorate.mechanisms.interconnect.flows.report import (
    DecodeReport,
    Exporter,
    ExporterReport,
    Gap,
    GapCause,
    SourceReport,
    Unit,
    UnknownTemplate,
)
from inspectorate.mechanisms.interconnect.flows.sampling import (
    SampledBounds,
    sampled_bytes_bounds,
    scaled_bytes_bounds,
)
from inspectorate.mechanisms.interconnect.flows.sums import PairTable, Sums
from inspectorate.mechanisms.interconnect.flows.tap import TapReader
from inspectorate.mechanisms.interconnect.flows.unseen import UnseenSpan, unseen_bytes_upper, unseen_spans

__all__ = [
    "COUNTER",
    "RECORD",
    "AddressMap",
    "Batch",
    "DecodeReport",
    "Exporter",
    "ExporterReport",
    "Flag",
    "FlowDecoder",
    "Gap",
    "GapCause",
    "GoFlow2Reader",
    "Irregularity",
    "Limits",
    "PairTable",
    "Rejection",
    "SampledBounds",
    "SourceReport",
    "Sums",
    "TapReader",
    "Unit",
    "UnknownTemplate",
    "UnseenSpan",
    "address_of",
    "all_records",
    "counter_increase",
    "halves",
    "sampled_bytes_bounds",
    "scaled_bytes_bounds",
    "unseen_bytes_upper",
    "unseen_spans",
]
