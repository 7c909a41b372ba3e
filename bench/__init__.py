"""Benchmarks. Each module prints the ratio to a peer or to a stated limit in the same run: `python -m bench [NAME ...]`."""
