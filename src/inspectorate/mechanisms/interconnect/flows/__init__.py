"""Flow exports."""
from inspectorate.mechanisms.interconnect.flows.addresses import AddressMap
from inspectorate.mechanisms.interconnect.flows.decoder import FlowDecoder
from inspectorate.mechanisms.interconnect.flows.sums import PairTable
