"""A report sealed to offices of several parties, of which only several together can open it; the source's code phrase.

    offices   who can open, and how many of them it takes
    shares    a secret cut into shares: any k give it back, and a wrong one is told from a right one
    blocks    one block, sealed; a dummy is one like any other
    stream    a report as a stream of bytes, cut into parts of one size
    phrases   the code phrase of a source, and what follows from it
    files     a report that was sealed before it was handed in

It establishes: that what any k - 1 offices and everybody else hold of a block says nothing of what is in it, nor whether anything
is; that an office which gives a wrong share is named by the first who opens.

It cannot establish: that whoever sealed a block kept no copy. It rests on X25519 and on nobody keeping blocks until a quantum
computer opens them: post-quantum recipients of age are younger than its libraries here.
"""
