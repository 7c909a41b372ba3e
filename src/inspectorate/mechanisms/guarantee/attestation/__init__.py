"""Who the processor is and what runs on it, so that a verifier without a TPM can tell.

device      what the rest of the mechanism needs of a device
measured    what was measured since the machine started: the log, and its replay into one PCR
software    a device that says of itself that it is none: a key in a file
tpm/        a device that is a TPM 2.0, and a client of one in pure Python
start       what of the processor itself is measured when it starts
structures  the few TPM 2.0 structures that both sides read
quote       what a report carries of all this, in one fixed length
verify      the verifier: pure, without a TPM
chain       certificates of attestation keys, up to the verifier's own anchors
credential  secrets that only one TPM can open (MakeCredential)
authority   the verifier's own root, and the certificates that it issues
enrol       the ceremony by which a verifier comes to certify an attestation key
wire        bytes in TPM order
files       small files that are either the old or the new
"""
