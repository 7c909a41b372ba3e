"""One folder per way of knowing. None imports another; each has the same shape.

`__init__.py` says what it can establish, what it cannot, and how it is fooled; `observe.py` turns raw input into
observations; `appraise.py` turns clause, declaration and evidence into assessments; `reference.py` holds constants,
calibration and thresholds, each with its source. The registry is in `review.py`.
"""
