"""Interviews: people whom nobody could choose are heard within an agreed scope, and their answers are held against one another.

It establishes: that those who were heard were drawn from a roster that was fixed before; with which chance somebody was reached who
would know; who refused; where answers contradict one another, the declaration or machine evidence by more than honest memory does.

It cannot establish: that anybody told the truth, or lied: there is no detection of lies here. That the roster names all who work
there; what was said to people before they came.

It is fooled by: a roster that leaves out those who know; people who learnt one story by heart; interviewers whom somebody has
bought; a violation that few know of.

    roster/       the roster as salted leaves; the draw from it; openings; sizes of draws
    forms/        forms (XLSForm), question banks tied to clauses, what may be asked and was; the page that an interviewer fills in
    consistency/  answers as dated, bounded statements; contradictions, and the sentences that make them; calibration
    observe, appraise/   statements in order; the kind of clause `interviewed-staff`

Sources: Scher & Thiergart 2024 (arXiv 2506.15867), on interviews; arXiv 2511.10783, Article IX; Baker et al. 2025 (arXiv
2507.15916), on interviews.
"""
