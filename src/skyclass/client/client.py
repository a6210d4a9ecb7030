"""Classifies tables and files with a predictor, in batches."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pandas as pd
import pyarrow as pa

from skyclass.client.endpoint import Endpoint, TooLargeError
from skyclass.client.rows import PredictResponse, list_columns, omit_optional, to_records, to_rows
from skyclass.errors import ServingError
from skyclass.polling import poll
from skyclass.survey.features import ALL_INPUTS, INPUTS, OPTIONAL_INPUTS, Mode, model_name
from skyclass.tables.classified import append_predictions, check_names
from skyclass.tables.objects import Objects, read_objects

if TYPE_CHECKING:
    from astropy.table import Table

BATCH_ROWS = 1000

_OPTION_FIELDS = {"coverage": "labels", "purity": "certain"}
"""Field of a prediction that each option adds."""

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


class _ModelMetadata(msgspec.Struct):
    versions: Annotated[list[str], msgspec.Meta(min_length=1)]


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
        self._mode = mode
        self._name = model_name(mode)
        self._endpoint = Endpoint(url, mode, token, ca_file)

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
            for response in self._classify_batch(batch, start, options):
                predictions += to_rows(response, columns)
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
        metadata = self._endpoint.request("GET", f"/v2/models/{self._name}", _ModelMetadata)
        return metadata.versions[0]

    def is_ready(self) -> bool:
        """Return whether the model is loaded; False if the predictor is unreachable."""
        path = f"/v2/models/{self._name}/ready"
        try:
            self._endpoint.request("GET", path, dict, retries=False)
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
                f"{self._name} at {self._endpoint.url} is not ready after {seconds:g} s: "
                "see the predictor's log"
            )

    def _classify_batch(
        self, records: list[dict[str, Any]], start: int, options: dict[str, float]
    ) -> list[PredictResponse]:
        """Classify the rows from `start` on, by more than one request if they are too large."""
        path = f"/v1/models/{self._name}:predict"
        content = {"instances": records, **options}
        try:
            response = self._endpoint.request("POST", path, PredictResponse, content)
        except TooLargeError:
            if len(records) == 1:
                raise
            half = len(records) // 2
            first = self._classify_batch(records[:half], start, options)
            return first + self._classify_batch(records[half:], start + half, options)
        except ServingError as error:
            if "is not an input of" in str(error):  # the predictor has an older version
                required = [omit_optional(record, self._mode) for record in records]
                if required != records:
                    return self._classify_batch(required, start, options)
            if found := _ROW_REASON.fullmatch(str(error)):
                raise RowError(start + int(found[1]), found[2]) from error
            raise
        self._check(response, len(records), options)
        return [response]

    def _check(self, response: PredictResponse, rows: int, options: Iterable[str]) -> None:
        """Check that each row has a prediction, and each prediction what was requested."""
        if len(response.predictions) != rows:
            raise ServingError(
                f"{self._endpoint.url} returned {len(response.predictions)} predictions for {rows} "
                "rows: check that it is the URL of a predictor"
            )
        for option in options:
            field = _OPTION_FIELDS[option]
            if any(getattr(each, field) is None for each in response.predictions):
                raise ServingError(
                    f"{self._endpoint.url} returned no {field}: it has a version of skyclass that "
                    f"does not know {option}: upgrade it, or omit {option}"
                )
