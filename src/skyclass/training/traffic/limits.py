"""The limits of the traffic replay. A release beyond one of them waits for an approval.

None rejects a release: without labels, nobody knows which of two models is right. They find
releases that behave on the endpoint's traffic in a way that the labelled hold-out did not show.

Measured on the random hold-out of 20,000 real DR17 rows with forests and gradient boosting: two
models of equal accuracy disagree on 0.7 % of the rows in spectroscopic and 5 % in photometric mode,
on at most 2 % and 12 % in a class or magnitude bin, and shift no class share by more than 0.003 and
0.009. A photometric challenger that learned a new era disagrees with the champion on rows of that
era up to three times as often as on its own hold-out, which has older rows as well: on 31 % against
15 % of the rows (BOSS), and on 14 % against 5 % (eBOSS).
"""

from collections.abc import Mapping
from datetime import timedelta

from skyclass.survey.features import Mode

LOOKBACK = timedelta(days=7)
"""Logged predictions of this time are replayed: a week has every kind of day."""
MAX_ROWS = 20_000
"""Rows that are replayed at most; more add seconds and no insight."""
MIN_ROWS = 500
"""With fewer rows nothing is checked."""
MIN_GROUP_ROWS = 100
"""Classes, magnitude bins and flagged rows with fewer rows are not checked."""

HOLDOUT_RATIO = 3.0
"""On traffic, two models may disagree this many times as often as on the labelled rows."""
DISAGREEMENT: Mapping[Mode, float] = {Mode.SPECTROSCOPIC: 0.05, Mode.PHOTOMETRIC: 0.25}
"""Share of rows on which they may always disagree: twice that of equal models in the worst bin."""
SHARE_SHIFT: Mapping[Mode, float] = {Mode.SPECTROSCOPIC: 0.02, Mode.PHOTOMETRIC: 0.05}
"""Change of the share of a predicted class that is always allowed: five times that of equal
models. Catalogues are built from these shares."""
SIGNIFICANCE = 0.01
"""A share exceeds its limit if its one-sided Wilson bound at this level does."""

ENGINE_RATIO = 3.0
"""A model may take this many times the time and memory of the champion's."""
LATENCY_MS: Mapping[int, float] = {1: 5.0, 100: 25.0}
"""Time that is always allowed for a request of 1 and of 100 rows (ms); the alert on slow requests
fires at 250 ms, on predictors with a fraction of a core."""
MEMORY_MB = 200.0
"""Memory that is always allowed; the chart requests 384 MB for a predictor, half for the server."""
