"""From observations to a release: dataset, search, fit, export, evaluation, gate, reports."""
