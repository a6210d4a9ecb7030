"""Counting and sampling the rows of a window, which is read hour by hour."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.sampling import Hashes, RowSample, find_changes, get_times, hash_rows
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, is_sentinel

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class HourCounter:
    """Counts and samples the rows of one hour.

    Only rows with an idempotency key can be duplicates: they are if a row with the same key and
    number was read before, in this hour or the previous one. Of the attempts in this hour, the
    earliest counts. Memory grows with the requests of two hours, by 24 bytes a row.

    Attributes:
        sample: The valid rows of this hour and of those before it.
    """

    def __init__(
        self,
        mode: Mode,
        missing_bands: Sequence[str],
        seed: int,
        sample: RowSample,
        previous: Hashes,
    ) -> None:
        """Start an hour.

        Args:
            mode: Mode of the rows.
            missing_bands: Magnitudes that a row may lack, one of them at a time.
            seed: Seed of the hashes.
            sample: Sample of the hours before; it is not changed.
            previous: Hashes of the previous hour; see `get_hashes`.
        """
        self.sample = sample.copy()
        self._mode = mode
        self._missing_bands = missing_bands
        self._seed = seed
        self._previous = previous
        self._causes = list_causes(mode)
        # Counts by pattern: bit n is set if the n-th cause applies.
        self._patterns = np.zeros(2 ** len(self._causes), np.int64)
        self._rows = self._repeated = 0
        self._keyed = [np.empty(0, np.uint64)]
        self._attempts = [(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))]

    def add(self, rows: pa.Table) -> None:
        """Count rows.

        Args:
            rows: Columns `time`, `idempotency_key`, `prediction_id`, `row`, `predicted`, the inputs
                of the mode, and others that the sample has.
        """
        hashes, times = hash_rows(rows, self._seed), get_times(rows)
        is_keyed = rows["idempotency_key"].is_valid().to_numpy()
        is_repeated = is_keyed & _contains(self._previous, hashes)
        is_attempt = is_keyed & ~is_repeated
        patterns = self._find_patterns(rows)
        self._rows += len(rows)
        self._repeated += int(is_repeated.sum())
        self._count(patterns[~is_keyed])
        self._keyed.append(hashes[is_keyed])
        self._attempts.append((hashes[is_attempt], times[is_attempt], patterns[is_attempt]))
        self.sample.add(rows, hashes, (patterns == 0) & ~is_repeated)

    def get_hashes(self) -> Hashes:
        """Return the hashes of the rows with an idempotency key, sorted."""
        return np.unique(np.concatenate(self._keyed))

    def finish(self) -> Accounting:
        """Count the attempts of requests once, and return the counts of the hour."""
        hashes, times, patterns = map(np.concatenate, zip(*self._attempts, strict=True))
        order = np.lexsort((patterns, times, hashes))
        is_first = find_changes(hashes[order])
        self._count(patterns[order][is_first])
        used, rejected = int(self._patterns[0]), int(self._patterns[1:].sum())
        has_cause = np.arange(len(self._patterns))[:, None] >> np.arange(len(self._causes)) & 1
        counts = zip(self._causes, self._patterns @ has_cause, strict=True)
        return Accounting(
            rows_in=self._rows,
            rows_used=used,
            duplicates=self._repeated + int((~is_first).sum()),
            rejected=rejected,
            reasons={cause: int(count) for cause, count in counts if count},
        )

    def _find_patterns(self, rows: pa.Table) -> Ints:
        frame = rows.select([*INPUTS[self._mode], "predicted"]).to_pandas()
        masks = find_invalid_rows(frame, self._mode, self._missing_bands)
        patterns = np.zeros(len(rows), np.int64)
        for bit, cause in enumerate(self._causes):
            patterns |= masks[cause].astype(np.int64) << bit
        return patterns

    def _count(self, patterns: Ints) -> None:
        self._patterns += np.bincount(patterns, minlength=len(self._patterns))


def list_causes(mode: Mode) -> list[str]:
    """Return the causes of invalidity of a mode."""
    return list(find_invalid_rows(pd.DataFrame(columns=[*INPUTS[mode], "predicted"]), mode, ()))


def find_invalid_rows(
    rows: pd.DataFrame, mode: Mode, missing_bands: Sequence[str]
) -> dict[str, Mask]:
    """Return a mask of the invalid rows for each cause.

    Args:
        rows: The inputs of the mode and `predicted`.
        mode: Mode of the rows.
        missing_bands: Magnitudes that a row may lack, one of them at a time.
    """
    lacks_one = rows[list(INPUTS[mode])].isna().sum(axis=1).to_numpy() == 1
    causes = {"predicted is no known class": ~rows["predicted"].isin(CLASSES).to_numpy()}
    for name in INPUTS[mode]:
        values = rows[name].to_numpy(dtype=np.float64)
        causes[f"{name} is the sentinel -9999"] = is_sentinel(values)
        may_lack = lacks_one & np.isnan(values) if name in missing_bands else False
        causes[f"{name} is missing or not finite"] = ~np.isfinite(values) & ~np.asarray(may_lack)
    return causes


def _contains(known: Hashes, hashes: Hashes) -> Mask:
    """Whether each hash is among sorted ones."""
    if not len(known):
        return np.zeros(len(hashes), bool)
    positions = np.searchsorted(known, hashes).clip(max=len(known) - 1)
    return known[positions] == hashes
