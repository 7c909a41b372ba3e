"""Evaluation: how well workload signatures tell workloads apart, on data of others, beside peers, under splits that do not
leak.

- `runs`: one measured run of one unit, with what it is called; `load*`: runs out of public data sets and our own recordings.
- `prepare`: the windows of a run, once as features and once as series, the same for every detector.
- `splits`: what is held out: runs, workloads, families, hardware, submitters, sessions, disguises.
- `detectors`, `peers*`: our library of signatures and well-kept libraries of others, behind one interface.
- `folds`, `alarms`, `metrics`: scores that were never fitted on what they score, thresholds from enrolled runs only, figures.
- `questions`: the questions that are asked of a data set; `results`: their answers as tables.

Nothing here is evidence about anyone: an evaluation says what detectors are worth, and is no part of a review.
"""
