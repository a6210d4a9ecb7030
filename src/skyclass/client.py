"""Asks a predictor over HTTP, for tables of any length.

answers = Client("http://127.0.0.1:8080", Mode.SPECTROSCOPIC).classify(objects)
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import urllib3
from urllib3.util import Retry, Timeout

from skyclass.errors import ServingError
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.prediction_log import PROBABILITIES

BATCH_ROWS = 1000

_TIMEOUT = Timeout(connect=3, read=30)
_ANSWER_COLUMNS = ("predicted", *PROBABILITIES, "model_version", "flags")
_POLL_SECONDS = 0.1


class _TooLargeError(ServingError):
    """The predictor wants less at once."""


class Client:
    """One model of a predictor.

    Connection errors and 503 are retried: a prediction changes nothing, and a repeated request
    keeps its id, so that the prediction log is not misled. What is too large for the predictor is
    sent in halves. Other answers are final.
    """

    def __init__(self, url: str, mode: Mode) -> None:
        """Prepare to ask; nothing is contacted yet.

        Args:
            url: The predictor's address, without a path.
            mode: Which model is asked.
        """
        self._url = url.rstrip("/")
        self._mode = mode
        self._name = model_name(mode)
        self._pool = urllib3.PoolManager(
            timeout=_TIMEOUT,
            retries=Retry(
                total=3,
                backoff_factor=0.2,
                status_forcelist=(503,),
                allowed_methods=None,
                raise_on_status=False,
            ),
        )

    def classify(
        self, rows: pd.DataFrame, progress: Callable[[int], object] = lambda done: None
    ) -> pd.DataFrame:
        """Classify objects.

        Args:
            rows: Columns INPUTS[mode]; where plate, mjd and fiber_id are there as well, they go
                into the prediction log, so that labels that arrive later find their prediction.
            progress: Called again and again with how many rows are done.

        Returns:
            For each row, with the same index: `predicted`, `p_GALAXY`, `p_QSO`, `p_STAR`,
            `model_version`, and `flags` in words, empty when nothing is unusual.

        Raises:
            ServingError: A column is missing, the predictor cannot be reached, or it refused.
        """
        lacking = [name for name in INPUTS[self._mode] if name not in rows.columns]
        if lacking:
            raise ServingError(f"the table has no column {lacking[0]}, which {self._name} needs")
        records = _records(rows, self._mode)
        answers: list[list[Any]] = []
        for start in range(0, len(records), BATCH_ROWS):
            batch = records[start : start + BATCH_ROWS]
            try:
                answers += self._classify_batch(batch)
            except ServingError as error:
                raise ServingError(
                    f"rows {start} to {start + len(batch) - 1} of the table, counted from "
                    f"{start}: {error}"
                ) from error
            progress(len(answers))
        return pd.DataFrame(answers, index=rows.index, columns=list(_ANSWER_COLUMNS))

    def model_version(self) -> str:
        """Id of the release that answers at the moment.

        Raises:
            ServingError: The predictor cannot be reached, or serves another model.
        """
        return str(self._ask("GET", f"/v2/models/{self._name}")["versions"][0])

    def is_ready(self) -> bool:
        """Whether the predictor answers."""
        try:
            self._ask("GET", f"/v2/models/{self._name}/ready", retries=False)
        except ServingError:
            return False
        return True

    def wait_ready(self, seconds: float) -> None:
        """Wait until the predictor answers.

        Raises:
            ServingError: It did not in that time.
        """
        until = time.monotonic() + seconds
        while not self.is_ready():
            if time.monotonic() > until:
                raise ServingError(
                    f"{self._name} is not ready at {self._url} after {seconds:g} s: "
                    "see the predictor's log"
                )
            time.sleep(_POLL_SECONDS)

    def _classify_batch(self, records: list[dict[str, Any]]) -> Iterator[list[Any]]:
        try:
            answer = self._ask("POST", f"/v1/models/{self._name}:predict", {"instances": records})
        except _TooLargeError:
            if len(records) == 1:
                raise
            half = len(records) // 2
            yield from self._classify_batch(records[:half])
            yield from self._classify_batch(records[half:])
            return
        for prediction in answer["predictions"]:
            yield [
                prediction["class"],
                *(prediction["probabilities"][name] for name in CLASSES),
                answer["model_version"],
                "; ".join(prediction.get("flags", ())),
            ]

    def _ask(
        self, method: str, path: str, content: Any = None, retries: bool | None = None
    ) -> dict[str, Any]:
        try:
            response = self._pool.request(
                method,
                self._url + path,
                body=None if content is None else json.dumps(content),
                headers={"Content-Type": "application/json", "X-Request-Id": str(uuid.uuid4())},
                retries=retries,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ServingError(
                f"the predictor at {self._url} does not answer ({type(error).__name__}): "
                f"start it with `skyclass serve --mode {self._mode}`, or correct the address"
            ) from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ServingError(
                f"{self._url} answered {response.status} and no JSON object: is it a predictor?"
            )
        if response.status != 200:
            kind = _TooLargeError if response.status == 413 else ServingError
            raise kind(str(answer.get("error", f"status {response.status}")))
        return answer


def _records(rows: pd.DataFrame, mode: Mode) -> list[dict[str, Any]]:
    """The rows as JSON objects: what is missing becomes null, a key with gaps is left out."""
    names = INPUTS[mode]
    inputs = rows[list(names)]
    records: list[Any] = inputs.astype(object).to_dict("records")
    for row, column in np.argwhere(inputs.isna()).tolist():
        records[row][names[column]] = None
    if set(KEY) <= set(rows.columns):
        keys = rows[list(KEY)].astype(object).to_dict("records")
        for row in np.flatnonzero(rows[list(KEY)].notna().all(axis=1)).tolist():
            records[row] |= keys[row]
    return records
