"""What a training loop or a server writes as it works: packets with commitments, checkpoints by digest, and the header of the run.

types      headers, packets, and the list of packets that is committed to
"""
