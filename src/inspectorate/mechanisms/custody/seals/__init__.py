"""Seals with a random pattern: photographs compared, and what seals held over time.

It establishes: that a new photograph shows the seal of the reference photographs, as a likelihood ratio with error rates that were
measured on pairs held out by seal, camera and condition; where the two differ, for a person to look at; that somebody else who
has the photographs gets the same number; from statements, which places an intact seal held in which stretches.

It cannot establish: that nothing was opened. A seal that was lifted and put back without a trace is intact to any camera.
Whether its error rates hold for other lacquers, cameras and dirt than those it was calibrated on.

It is fooled by: a seal made twice, flake by flake; a flat copy of a seal without mirrors; a flat copy of one with mirrors, where
nobody takes the second photograph; a photograph that was not taken at the door; an inspector who states another decision than
the photographs call for, until somebody compares again.

    header, photo, photo_apart          bytes to pixels, bounded, in a process that is closed in
    aligning, structure, comparing      lining up; edges and flakes; measures; `Unclear` instead of a guess
    moire, challenge                    a screen; a flat copy, by a second photograph under other light
    calibration, evaluate, metrics      a number and alarms of measures; error rates of a split, with intervals by seals
    report, page                        all photographs of one check; the page to look at
    acts, held                          statements; what seals held, by `SealApplied` and `SealChecked`

Sources: Lowe 2004 (SIFT); Evangelidis & Psarakis 2008 (ECC); Bruemmer & du Preez 2006 (Cllr); Vergeer et al. 2016 (bounds of
ratios). Not taken over: Blink Comparison, in which a person compares by eye alone.
"""
