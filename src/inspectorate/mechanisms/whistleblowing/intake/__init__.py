"""The store of a running intake, what offices collect of it, and what they send back.

    settings    how large blocks are, how many a tick writes, how long a batch lasts
    store       `Intake`: the ticks; `submission`: one report on its way in
    batch       one batch on the disk: places that are filled in random order, each whole or empty
    closing     what is fixed of a batch when it closes: its commitments, signed, in a log
    receipts    what a source can hold against the host
    boards      replies of offices, on boards of one size
    collecting  what each office does alone: fetch a batch, hold it against the log
    opening     what only a quorum can: releases of shares, and the reports that come of them
    hardening   what the process does against its own machine; `unit`: the service that runs it

For a server (all of it on one event loop):

    intake = Intake.open(folder, log=append)                 # recovers after a crash; raises `InputError`, `EnvironmentError_`
    runner = asyncio.create_task(intake.run())               # the ticks, until `await intake.stop()`
    intake.refusal() -> Refusal | None                       # FULL, BUSY, STOPPED: ask before a report begins, show a plain page
    submission = intake.begin(thread, answers, language)     # thread: Phrase. Raises `Refused` (with .refusal), `InputError`
    await submission.file(name, media_type)                  # begins a file; raises `InputError` (too many, name too long)
    await submission.write(data)                             # bytes of that file; waits while the intake is behind. `TooLarge`
    receipt = await submission.finish()                      # after the tick that made the last block durable
    receipt.text()                                           # plain ASCII for paper or a file; at most settings.receipt_chars_max
    await submission.abandon()                               # the source went away; never raises; fine after `finish` too
    intake.replies(phrase) -> tuple[Reply, ...]              # Reply(office, text); () for a phrase never seen
    intake.settings, intake.offices                          # records: `Settings`, `Offices` (who can open: names, parties, quorum)

    Phrase.make(), Phrase.parse(typed), phrase.words(language), phrase.digits()        # whistleblowing.sealing.phrases
"""
