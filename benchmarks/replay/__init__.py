"""Replay real observations in the order of their nights, with and without the retraining loop.

    python -m benchmarks.replay FILE [--starts 5] [-o docs/replay.svg]

A window has 1,000 objects. Both models start as the same release, trained on the first 3,000
objects. The baseline is never replaced. The champion of the loop is monitored: each window gets a
drift verdict, an estimate of its accuracy and, one window later, labels. When `decide` returns a
retraining, a challenger is trained on the newest labels and passes through the gate. Drift policy,
retraining policy, gate and comparison on traffic are those of production. A release that has to
wait for an approval is approved at once. KFP and an object store are not used.
"""
