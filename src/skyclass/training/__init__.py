"""From observations to a release: splits, search, evaluation, the gate and the export."""
