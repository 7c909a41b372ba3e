"""A TPM 2.0 spoken to directly: the few commands that the processor needs, and no library below them.

transport  a character device of the kernel, or the socket of swtpm
codes      response codes in words
client     one command and its answer: framing, authorisation, waiting
commands   the commands
provision  what is made once in a TPM: the attestation key, the counter
activate   the device's part of the ceremony of certification
device     a `Device` that is a TPM
"""
