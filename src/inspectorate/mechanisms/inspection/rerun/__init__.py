"""Training packets run again, in processes of their own, and held against what was committed to.

    program    what a training program is, as data or as a module of the declared code
    replay     one packet after the other: records, seeds, order of data, seams, and then the work itself
    calibrate  how far honest re-runs lie from each other, and where the threshold goes
    residual   what could still pass below the threshold
    memorised  a second look that runs nothing again: whether the model knows recent data better than data held back

    runner     the process that runs the work again (`machines`, `decoder`: with torch)
    losses     the process that computes losses for `memorised` (with torch)
    judge      the process that compares (`compare`, `tensors`: without torch, and without any code of the prover)

The process that runs the work never sees the result that was committed to: code of the prover that is run again can return
nothing but what it computes. Here, modules that import torch are imported by these processes alone.
"""
