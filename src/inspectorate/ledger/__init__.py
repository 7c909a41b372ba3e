"""The ledger: a tamper-evident, append-only log of opaque bytes, in the formats of C2SP and the hashes of RFC 6962.

    merkle        hashes, proofs, verification; a tree in memory
    note          signed notes, verifier keys, cosignatures
    checkpoint    what a log states; the policy that makes it believed
    tiles         the tree and the entries cut into files
    disk, journal what a log asks of a disk; batches not yet settled
    storage       reading back what is stored, checked
    log, memory   a log in a folder; a log in memory
    proof         portable proofs that an entry stands in a log
    witness       remembers, and cosigns only what continues; `witness_http` is its server and client

The ledger sees bytes and never what they mean. It establishes that an entry stood in the log when a checkpoint was
signed, and, with witnesses, that everybody sees the same log. It does not establish that an entry is true.
"""

from inspectorate.ledger.checkpoint import Checkpoint, Cosignature, Policy, VerifiedCheckpoint
from inspectorate.ledger.continuation import Continuation, continuation
from inspectorate.ledger.log import Log
from inspectorate.ledger.memory import MemoryLog
from inspectorate.ledger.merkle import MemoryTree
from inspectorate.ledger.note import KeyKind, Note, VerifierKey
from inspectorate.ledger.proof import ProofVerifier, VerifiedInclusion, proof_origin, prove_entry, verify_proof
from inspectorate.ledger.witness import Witness
from inspectorate.ledger.witness_http import WitnessAddress, WitnessServer, cosigned_checkpoint

__all__ = [
    "Checkpoint",
    "Continuation",
    "Cosignature",
    "KeyKind",
    "Log",
    "MemoryLog",
    "MemoryTree",
    "Note",
    "Policy",
    "ProofVerifier",
    "VerifiedCheckpoint",
    "VerifiedInclusion",
    "VerifierKey",
    "Witness",
    "WitnessAddress",
    "WitnessServer",
    "continuation",
    "cosigned_checkpoint",
    "proof_origin",
    "prove_entry",
    "verify_proof",
]
