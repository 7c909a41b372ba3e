"""Run the benchmarks named on the command line, or all of them. Exits 1 if any target is missed."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "ledger", "flows", "collector", "review", "planner", "windows", "telemetry_text", "recorder", "integrity", "attestation",
    "rulesets", "flop_ledger", "licences",
    "interlock", "graphs",
    "replay_training", "replay_memorised",
    "weights_hash", "transcripts", "accelerator", "accelerator_noise", "flop_trace", "flop_hidden",
    "toploc", "replay_inference",
    "code_review",
    "intake_sealing",
    "heard_leads",
    "case_files",
    "interview_draws",
    "interview_consistency", "intake_load",
    "rack_cameras",
    "portfolio",
    "chip_counting", "chip_location",
    "inspection_plans",
    "chip_register",
    "custody_fleet", "custody_rates",
    "seal_photos",
    "covered_clusters", "supply",
)  # fmt: skip


def main() -> int:
    """Run benchmarks one after the other, so that they do not disturb each other."""
    missed = 0
    names = sys.argv[1:] or BENCHMARKS
    # Benchmarks read options of their own when they are run by themselves; here there are none.
    sys.argv = sys.argv[:1]
    for name in names:
        print(f"\n== {name} ==", flush=True)
        missed += bool(importlib.import_module(f"bench.{name}").main())
    print(f"\n{missed} benchmarks missed a target" if missed else "\nall targets met")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
