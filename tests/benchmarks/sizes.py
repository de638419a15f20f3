"""How much work: that of the README's figures, or a smoke test of minutes on a busy machine (BENCH_SMOKE=1), which
checks that both ways come to the same, and whose ratios mean nothing."""

import os

SMOKE = os.environ.get("BENCH_SMOKE", "") not in ("", "0")
THREADS = int(os.environ.get("BENCH_THREADS", "0")) or (1 if SMOKE else os.cpu_count() or 1)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "0"))  # samples of each arm; 0: each benchmark's own number
TRIES = int(os.environ.get("BENCH_TRIES", "0")) or (1 if SMOKE else 2)  # times as many, until enough are clean


def sized(full, smoke):
    return smoke if SMOKE else full
