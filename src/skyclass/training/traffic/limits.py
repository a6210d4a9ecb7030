"""The limits of the traffic replay. A release beyond one of them waits for an approval.

None rejects a release: without labels, nobody knows which of two models is right. They find
releases that behave on the endpoint's traffic as no labelled row has shown; small degradations are
found by the gate. A challenger that honestly learned a new era must not wait.

Measured on 20,000 real DR17 rows with forests and gradient boosting, spectroscopic and photometric:

- Two models of equal accuracy disagree on 0.7 % and 5 % of the hold-out, on at most 2 % and 12 % in
  a class or magnitude bin, and shift no class share by more than 0.003 and 0.009.
- Challengers that learned half of a new era (BOSS, eBOSS) disagree with the champion on up to 5 %
  and 31 % of that era's rows, on 10 % and 54 % in the worst bin, and shift class shares by 0.027
  and 0.2. On their own hold-out, which has older rows too, they disagree less than half as often.
- With these limits none of them waits: 4 equal pairs and 4 new eras. Nor does a challenger that has
  forgotten an era: without labels that looks the same, and the slices of the gate reject it.
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

HOLDOUT_RATIO = 4.0
"""On traffic, two models may disagree this many times as often as on the labelled rows."""
DISAGREEMENT: Mapping[Mode, float] = {Mode.SPECTROSCOPIC: 0.10, Mode.PHOTOMETRIC: 0.35}
"""Share of rows on which they may always disagree: about three times that of equal models in the
worst bin, or more."""
SHARE_SHIFT: Mapping[Mode, float] = {Mode.SPECTROSCOPIC: 0.04, Mode.PHOTOMETRIC: 0.10}
"""Change of the share of a predicted class that is always allowed: ten times that of equal models.
Catalogues are built from these shares."""
SIGNIFICANCE = 0.01
"""A share exceeds its limit if its one-sided Wilson bound at this level does."""

ENGINE_RATIO = 3.0
"""A model may take this many times the time and memory of the champion's."""
LATENCY_MS: Mapping[int, float] = {1: 5.0, 100: 25.0}
"""Time that is always allowed for a request of 1 and of 100 rows (ms); the alert on slow requests
fires at 250 ms, on predictors with a fraction of a core."""
MEMORY_MB = 200.0
"""Memory that is always allowed; the chart requests 384 MB for a predictor, half for the server."""
