"""HTTP client of the predictor, for tables of any length."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import urllib3

from skyclass.credentials import Credentials
from skyclass.errors import ServingError, one_line
from skyclass.polling import poll
from skyclass.proxies import describe_proxy
from skyclass.survey.features import ALL_INPUTS, INPUTS, OPTIONAL_INPUTS, Mode, model_name
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.classified import append_predictions, check_names
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.tables.objects import Objects, read_objects
from skyclass.urls import omit_credentials

if TYPE_CHECKING:
    from astropy.table import Table

BATCH_ROWS = 1000

PREDICTION_COLUMNS = ("predicted", *PROBABILITIES, "model_version", "flags", "out_of_domain")
"""Columns of every prediction."""

UNCERTAIN = "uncertain"
"""Predicted class of rows below the cut of the requested purity."""

_GROUPS, _LABELS = "groups", "labels"
_OPTION_FIELDS = {"coverage": "labels", "purity": "certain"}
"""Field of a response that each option adds."""

_ROW_REASON = re.compile(r"row (\d+): (.+)")
"""An error of the predictor that names a row of the request."""


class RowError(ServingError):
    """The predictor rejected a row.

    Attributes:
        row: Position of the row in the table, from 0.
        reason: Why it was rejected.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row} of the table, counted from 0: {reason}")
        self.row = row
        self.reason = reason


class _TooLargeError(ServingError):
    """The request exceeds a limit of the predictor (413)."""


class Client:
    """Client of one model.

    Connection errors and temporary statuses are retried: predictions are idempotent, and a retry
    keeps its idempotency key, by which the prediction log is deduplicated. A batch that is too
    large for the predictor is split. Other errors are raised at once.

    Examples:
        Nothing is contacted before the first request:

        >>> from skyclass.client import Client
        >>> from skyclass.survey.features import Mode
        >>> client = Client("http://127.0.0.1:9", Mode.PHOTOMETRIC)
        >>> client.is_ready()
        False

        With a predictor (`skyclass serve --mode photometric --port 8080`):

        >>> client = Client("http://127.0.0.1:8080", Mode.PHOTOMETRIC)
        >>> table = client.classify_file(Path("objects.csv"))  # doctest: +SKIP
        >>> table["predicted"].value_counts()  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str,
        mode: Mode,
        *,
        token: str | Path | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Create a client; nothing is contacted yet.

        Args:
            url: URL of the predictor, without a path; a user and password in it are ignored.
            mode: Mode of the model.
            token: Bearer token, or the file that has it, which is read before each request; None
                for a predictor without login.
            ca_file: PEM file with the CA certificates that an https URL is verified with; it is
                read again when it changes. None for those of the system.
        """
        self._url = omit_credentials(url).rstrip("/")
        self._mode = mode
        self._name = model_name(mode)
        self._credentials = Credentials(token, ca_file)

    def classify(
        self,
        rows: pd.DataFrame,
        progress: Callable[[int], object] = lambda done: None,
        *,
        coverage: float | None = None,
        purity: float | None = None,
    ) -> pd.DataFrame:
        """Classify the rows of a table, in batches of `BATCH_ROWS`.

        Args:
            rows: Columns INPUTS[mode] and, where they are measured, OPTIONAL_INPUTS[mode]. Columns
                plate, mjd and fiber_id, where present, are logged with the predictions, so that
                labels can be joined later.
            progress: Called after each batch with the number of classified rows.
            coverage: Share of the rows of each class whose label set has their class, between 0
                and 1; None for no label sets.
            purity: Share of the rows of each predicted class that are of this class, between 0 and
                1; None for the most probable class of each row.

        Returns:
            For each row, with the same index: PREDICTION_COLUMNS; `groups` if the table has
            optional inputs; `labels` with a coverage. `flags` names values outside the survey's
            range, `out_of_domain` is whether the row differs from the rows that the model was
            trained on (null if the release has no domain), `groups` names the groups of optional
            inputs that the model used, and `labels` the classes of the label set. With a purity,
            `predicted` is `uncertain` where the probability is too low for it.

        Raises:
            RowError: The predictor rejected a row.
            ServingError: A column is missing or duplicated, the release has no label sets or
                purity cuts, or the predictor is unreachable.
        """
        names = list(rows.columns)
        for name in ALL_INPUTS[self._mode]:
            is_optional = name not in INPUTS[self._mode]
            if names.count(name) != 1 and not (is_optional and name not in names):
                problem = "duplicate" if name in names else "missing"
                raise ServingError(
                    f"{problem} column {name}: {self._name} needs each of "
                    f"{', '.join(INPUTS[self._mode])} once"
                )
        columns = list_columns(rows, self._mode, coverage)
        records = to_records(rows, self._mode)
        shares = {"coverage": coverage, "purity": purity}
        options = {name: share for name, share in shares.items() if share is not None}
        predictions: list[list[Any]] = []
        for start in range(0, len(records), BATCH_ROWS):
            batch = records[start : start + BATCH_ROWS]
            predictions += self._classify_batch(batch, start, options, columns)
            progress(len(predictions))
        found = pd.DataFrame(predictions, index=rows.index, columns=columns)
        return found.astype({"out_of_domain": "boolean"})

    def classify_objects(
        self,
        objects: Objects,
        progress: Callable[[int], object] = lambda done: None,
        *,
        coverage: float | None = None,
        purity: float | None = None,
    ) -> pd.DataFrame:
        """Classify the objects of a file.

        Args:
            objects: The objects, as `skyclass.tables.objects.read_objects` returns them.
            progress: Called after each batch with the number of classified objects.
            coverage: As for `classify`.
            purity: As for `classify`.

        Returns:
            The predictions of `classify`, in the order of the objects.

        Raises:
            ServingError: The predictor is unreachable, or it rejected an object; the message names
                the file and the line.
        """
        try:
            return self.classify(objects.inputs, progress, coverage=coverage, purity=purity)
        except RowError as error:
            raise ServingError(f"{objects.locate(error.row)}: {error.reason}") from error

    def classify_file(
        self,
        path: Path,
        encoding: str | None = None,
        *,
        coverage: float | None = None,
        purity: float | None = None,
    ) -> pa.Table:
        """Classify the objects of a file.

        Args:
            path: The file, with the columns INPUTS[mode] and, where they are measured,
                OPTIONAL_INPUTS[mode].
            encoding: Encoding of a text file; None for the one of a byte order mark, or UTF-8.
            coverage: As for `classify`.
            purity: As for `classify`.

        Returns:
            The columns of the file, unchanged, with the predictions behind them.

        Raises:
            CatalogError: The file cannot be read, lacks a column, has a value that is not a number,
                or has a column with the name of a prediction.
            ServingError: The predictor is unreachable, or it rejected an object.
        """
        objects = read_objects(path, INPUTS[self._mode], OPTIONAL_INPUTS[self._mode], encoding)
        check_names(objects, list_columns(objects.inputs, self._mode, coverage))
        predictions = self.classify_objects(objects, coverage=coverage, purity=purity)
        return append_predictions(objects, predictions)

    def classify_table(
        self,
        table: "Table",
        columns: Mapping[str, str] | None = None,
        *,
        coverage: float | None = None,
        purity: float | None = None,
    ) -> "Table":
        """Classify the rows of a table of astropy.

        Args:
            table: A `Table` or `QTable`; columns are found by the rule for files. Masked values are
                not measured.
            columns: The table's name of each input that the rule does not find, for example
                `{"z": "psfMag_z"}`.
            coverage: As for `classify`.
            purity: As for `classify`.

        Returns:
            A copy of the table with the predictions behind its columns, and the release of the
            model in its `meta`.

        Raises:
            CatalogError: The table lacks a column, has a value that is not a number, or has a
                column with the name of a prediction.
            ServingError: The predictor is unreachable, or it rejected a row.
        """
        from skyclass.tables.astropy_objects import append_to_astropy, read_astropy_objects

        objects = read_astropy_objects(
            table, INPUTS[self._mode], OPTIONAL_INPUTS[self._mode], columns
        )
        check_names(objects, list_columns(objects.inputs, self._mode, coverage))
        predictions = self.classify_objects(objects, coverage=coverage, purity=purity)
        return append_to_astropy(table, predictions)

    def model_version(self) -> str:
        """Return the id of the release that is served now.

        Raises:
            ServingError: The predictor is unreachable, or serves another model.
        """
        return str(self._request("GET", f"/v2/models/{self._name}")["versions"][0])

    def is_ready(self) -> bool:
        """Return whether the model is loaded; never raises."""
        try:
            self._request("GET", f"/v2/models/{self._name}/ready", retries=False)
        except ServingError:
            return False
        return True

    def wait_ready(self, seconds: float) -> None:
        """Wait until the model is loaded.

        Args:
            seconds: Readiness timeout.

        Raises:
            ServingError: The model is not ready after that time.
        """
        if not poll(self.is_ready, seconds):
            raise ServingError(
                f"{self._name} at {self._url} is not ready after {seconds:g} s: "
                "see the predictor's log"
            )

    def _classify_batch(
        self,
        records: list[dict[str, Any]],
        start: int,
        options: dict[str, float],
        columns: Sequence[str],
    ) -> Iterator[list[Any]]:
        try:
            path = f"/v1/models/{self._name}:predict"
            response = self._request("POST", path, {"instances": records, **options})
        except _TooLargeError:
            if len(records) == 1:
                raise
            half = len(records) // 2
            yield from self._classify_batch(records[:half], start, options, columns)
            yield from self._classify_batch(records[half:], start + half, options, columns)
            return
        except ServingError as error:
            if "is not an input of" in str(error):  # the predictor has an older version
                required = [_omit_optional(record, self._mode) for record in records]
                if required != records:
                    yield from self._classify_batch(required, start, options, columns)
                    return
            if found := _ROW_REASON.fullmatch(str(error)):
                raise RowError(start + int(found[1]), found[2]) from error
            raise
        for prediction in response["predictions"]:
            for option in options:
                if _OPTION_FIELDS[option] not in prediction:
                    raise ServingError(
                        f"{self._url} returned no {_OPTION_FIELDS[option]}: it has a version of "
                        f"skyclass that does not know {option}: upgrade it, or omit {option}"
                    )
            values = {
                "predicted": prediction["class"] if prediction.get("certain", True) else UNCERTAIN,
                **{
                    column: prediction["probabilities"][name]
                    for column, name in zip(PROBABILITIES, CLASSES, strict=True)
                },
                "model_version": response["model_version"],
                "flags": "; ".join(prediction.get("flags", ())),
                "out_of_domain": prediction.get("out_of_domain"),
                _GROUPS: " ".join(prediction.get("groups", ())),
                _LABELS: " ".join(prediction.get("labels", ())),
            }
            yield [values[column] for column in columns]

    def _request(
        self, method: str, path: str, content: Any = None, retries: bool | None = None
    ) -> dict[str, Any]:
        request_id = str(uuid.uuid4())  # predictors of version 0.1.0 know only X-Request-Id
        pool, authorization = self._credentials.get_pool(), self._credentials.make_headers()
        try:
            response = pool.request(
                method,
                self._url + path,
                body=None if content is None else json.dumps(content),
                headers={
                    "Content-Type": "application/json",
                    "X-Request-Id": request_id,
                    "Idempotency-Key": request_id,
                    **authorization,
                },
                retries=retries,
            )
        except urllib3.exceptions.HTTPError as error:
            if isinstance(getattr(error, "reason", error), urllib3.exceptions.SSLError):
                raise ServingError(
                    f"no TLS connection to {self._url} ({one_line(error)}): pass the CA "
                    "certificate of the predictor, or correct the URL"
                ) from error
            raise ServingError(
                f"the predictor at {self._url} is unreachable{describe_proxy(self._url)} "
                f"({type(error).__name__}): "
                f"start it with `skyclass serve --mode {self._mode}`, or correct the URL"
            ) from error
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ServingError(
                f"{self._url} returned status {response.status} and no JSON object: "
                "check that it is the URL of a predictor"
            )
        if response.status in (401, 403):
            raise ServingError(
                f"{self._url} rejected the request ({response.status}: {body.get('error')}): pass "
                "a bearer token that it accepts, and its https URL if it requires TLS"
            )
        if response.status != 200:
            kind = _TooLargeError if response.status == 413 else ServingError
            raise kind(str(body.get("error", f"status {response.status}")))
        return body


def list_columns(rows: pd.DataFrame, mode: Mode, coverage: float | None = None) -> list[str]:
    """Return the names of the columns that `Client.classify` returns for a table."""
    columns = list(PREDICTION_COLUMNS)
    if _list_optional(rows, mode):
        columns.append(_GROUPS)
    if coverage is not None:
        columns.append(_LABELS)
    return columns


def to_records(rows: pd.DataFrame, mode: Mode) -> list[dict[str, Any]]:
    """Convert rows to V1 instances.

    Missing inputs become null; missing optional inputs and incomplete keys are omitted. Infinite
    values, which JSON cannot express, count as missing.

    Args:
        rows: Columns INPUTS[mode] and, optionally, numeric columns of OPTIONAL_INPUTS[mode], and
            plate, mjd and fiber_id; others are ignored.
        mode: Mode of the model.

    Examples:
        >>> rows = pd.DataFrame({"u": [19.5], "g": [18.1], "r": [17.5], "i": [None], "z": [16.9]})
        >>> to_records(rows.assign(name="an object"), Mode.PHOTOMETRIC)
        [{'u': 19.5, 'g': 18.1, 'r': 17.5, 'i': None, 'z': 16.9}]
        >>> (record,) = to_records(rows.assign(w1=15.5, w2=float("nan")), Mode.PHOTOMETRIC)
        >>> record["w1"], "w2" in record
        (15.5, False)
        >>> to_records(rows.assign(plate=266, mjd=51602, fiber_id=7), Mode.PHOTOMETRIC)[0]["plate"]
        266
    """
    names = [*INPUTS[mode], *_list_optional(rows, mode)]
    inputs = rows[names]
    records: list[Any] = inputs.astype(object).to_dict("records")
    is_missing = inputs.isna() | inputs.isin([np.inf, -np.inf])
    for row, column in np.argwhere(is_missing).tolist():
        if column < len(INPUTS[mode]):
            records[row][names[column]] = None
        else:
            del records[row][names[column]]
    if set(KEY) <= set(rows.columns):
        keys = rows[list(KEY)].astype(object).to_dict("records")
        for row in np.flatnonzero(rows[list(KEY)].notna().all(axis=1)).tolist():
            records[row] |= keys[row]
    return records


def _list_optional(rows: pd.DataFrame, mode: Mode) -> list[str]:
    """Return the optional inputs of a table. Another column of text may have the same name."""
    return [
        name
        for name in OPTIONAL_INPUTS[mode]
        if name in rows.columns and pd.api.types.is_numeric_dtype(rows[name])
    ]


def _omit_optional(record: dict[str, Any], mode: Mode) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in OPTIONAL_INPUTS[mode]}
