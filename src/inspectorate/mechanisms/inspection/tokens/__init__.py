"""Answers of a model, checked by running them again: exactly, by proofs of activations (TOPLOC), by margins of tokens (DiFR).

It establishes: that the answers of a packet are, within a calibrated tolerance, what the declared model gives to these prompts
under the declared sampling; and how many bits a token a server could still have hidden in answers that pass.

It cannot establish: what the prompts were for; that no other copy of the model ran beside it; anything about the tokens themselves
where only activations are checked (TOPLOC, Activation-DiFR), which hold for any tokens.

It is fooled by: a deviation within the tolerance; a seed that the server could choose; a stack that the calibration did not see.

    reference    constants, and published figures, each with its source
    floats       bfloat16 as bits
    toploc       proofs of the largest activations: reader, writer, comparison (arXiv 2501.16007)
    philox       noise from a counter: any place and symbol by itself
    sampling     the rule by which tokens follow from logits and noise
    difr         margins of tokens and projections of activations (arXiv 2511.20621)
    exact        bit by bit, on equal stacks
    covert       what a tolerance lets through; a message hidden and read back
    calibrate    tolerances from honest pairs
    weights      the declared model: a folder with `config.json` and safetensors
    decoder      a decoder of the Llama kind, evaluated with numpy
    judge        one packet against a tolerance
    replay       packets run again in a process apart
    worker       that process
"""
