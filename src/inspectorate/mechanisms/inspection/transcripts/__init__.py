"""What a training loop or a server writes as it works: packets with commitments, checkpoints by digest, and the header of the run.

    types          headers, packets, and the list of packets that is committed to
    hashing        the digest of named tensors, whatever file or framework they are in
    tensor_files   safetensors files, read without loading and without belief; written without copying
    model_signing  manifests of signed models (OpenSSF), held against files
    folder         the folder of a run, read
    folder_writer  the same, written: a kill loses at most the open packet
    lists          the list of a stretch; a folder held against its lists
    seeds          seed, order of data, random numbers that are the same on every machine
    inference      the recorder of a server
    completions    requests and answers of OpenAI-compatible servers, as tokens
    asgi           middleware that records them

With torch, and imported only by who has it:

    training       the recorder of a training loop
    copies         state copied at the end of a packet, into memory that is used again
    torch_state    models, optimisers, generators and batches as named tensors, and back exactly
    torch_seeds    first weights from the seed
    stack          hardware and software as torch tells them
    huggingface    the recorder of a Trainer (with transformers)
"""
