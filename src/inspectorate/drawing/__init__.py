"""Draws that neither side can choose and both can repeat: from a secret or a public beacon to a seed, from a seed to a sample.

    chain, beacon   drand: rounds of a public beacon, checked without a network (`beacon_bls` needs the extra `beacon`)
    chains          the chains that are believed
    sources         a promised secret or a round, with what is selected: all that is needed to draw again
    ranks           from entropy and a commitment to a seed; from a seed to ranks and to whole numbers, by hashes

What is drawn (packets of work, people of a roster), and what must have been fixed before, is for the mechanism that draws.
"""
