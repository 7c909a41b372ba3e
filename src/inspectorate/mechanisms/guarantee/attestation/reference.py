"""Constants of attestation, each with its source."""

from __future__ import annotations

MEASURED_PCR = 13
"""The PCR that holds what the processor measures. It is not resettable: PCRs 0 to 15 return to zero with the machine only (TCG
PC Client Platform TPM Profile 1.05, section 4.6), while 16 and 23 are reset by whoever asks. Among 8 to 15 it is the one that a
machine without a unified kernel image and system extensions leaves alone (UAPI Group, Linux TPM PCR Registry)."""
PLATFORM_PCRS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14)
"""What firmware, boot loader and kernel measured before the processor. Left out: 10, to which IMA adds at run time, so that the
value would tell of the load; 13, ours; 15, which the system adds to while services start."""
QUOTED_PCRS = (*PLATFORM_PCRS[:12], MEASURED_PCR, *PLATFORM_PCRS[12:])
"""Both, ascending, as a TPM hashes them (TPM 2.0 Library 1.59, part 3, section 18.4)."""

MEASURED_MAX = 48
"""Entries in the log of measurements between two starts of the machine: what fits into a quote's fixed length. Further
measurements are refused until the machine restarts; each is a new build, configuration or ruleset."""
NAME_BYTES_MAX = 24

QUOTE_BYTES = 8192
"""Length of the `quote` payload, always."""
ATTESTED_BYTES_MAX = 512
SIGNATURE_BYTES_MAX = 600
PUBLIC_BYTES_MAX = 600
CERTIFICATES_BYTES_MAX = 3072
"""Of all certificates of an attestation key together."""
CERTIFICATES_MAX = 3

AK_HANDLE = 0x8101_4753
"""Persistent handle of the attestation key, in the range of the endorsement hierarchy (TCG Registry of Reserved TPM 2.0 Handles
1.1)."""
COUNTER_INDEX = 0x0180_4753
"""NV index of the counter, in the range of the owner (TCG Registry of Reserved TPM 2.0 Handles 1.1, table 3)."""
EK_CERTIFICATE_RSA_2048 = 0x01C0_0002
EK_CERTIFICATE_ECC_P256 = 0x01C0_000A
"""NV indices of endorsement certificates (TCG EK Credential Profile 2.5, section 2.2.1.4)."""
EK_CERTIFICATE_BYTES_MAX = 8192

BUILD, CONFIGURATION, RULESET = "build", "configuration", "ruleset"
"""Names under which the processor measures its own program, its configuration, and each ruleset before it comes into force."""
