"""The predictor: runs the model that is served now, and logs what it predicts."""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import ParamSpec, TypeVar

import joblib

from skyclass.registry.models import LoadedModel
from skyclass.serving.errors import RequestError
from skyclass.serving.inputs import Inputs
from skyclass.serving.log_entry import LogEntry
from skyclass.serving.log_writer import PredictionLogWriter
from skyclass.serving.options import Options
from skyclass.serving.parallel import ParallelEngine
from skyclass.serving.prediction import Prediction, classify
from skyclass.survey.features import Mode, model_name

INLINE_BYTES = 4096
"""Requests up to this size run on the event loop: an ONNX model needs about a millisecond for
them, less than a switch of threads costs under load."""

MAX_ID_CHARACTERS = 128

P = ParamSpec("P")
R = TypeVar("R")


class Predictor:
    """Classifies with the release that is served now.

    Attributes:
        name: Name of the model and of its InferenceService.
        mode: Mode of every release that is served.
    """

    def __init__(self, mode: Mode, log: PredictionLogWriter) -> None:
        self.name = model_name(mode)
        self.mode = mode
        self._model: LoadedModel | None = None
        self._log = log
        self._id_prefix = str(uuid.uuid4())[:24]  # a random UUID for each request costs 4 us more
        self._numbers = count()
        self._cores = joblib.cpu_count()  # heeds the CPU limit of a container
        self._threads = ThreadPoolExecutor(self._cores, "model")
        self._in_threads = 0  # requests; only the event loop changes it

    def is_ready(self, version: str = "") -> bool:
        """Return whether a model is loaded.

        Raises:
            RequestError: 404, another version is loaded.
        """
        if self._model is None:
            return False
        self.find_model(version)
        return True

    def find_model(self, version: str = "") -> LoadedModel:
        """Return the model that is served now.

        Args:
            version: Id of the release that the client wants; empty for any.

        Raises:
            RequestError: 503, no model is loaded yet, or 404, it has another version.
        """
        model = self._model
        if model is None:
            raise RequestError(
                503, f"{self.name} is loading: retry after 1 s", ((b"retry-after", b"1"),)
            )
        if version and version != model.release.id:
            raise RequestError(
                404,
                f"version not found: only one version is served, {model.release.id}: "
                "omit the version, or use this one",
            )
        return model

    def set_model(self, model: LoadedModel) -> None:
        """Serve a model from now on; requests in flight keep the previous one."""
        if model.engine_name == "onnx":
            engine = ParallelEngine(model.engine, self._threads, self._count_idle_threads)
            model = replace(model, engine=engine)
        self._model = model

    def predict(
        self,
        model: LoadedModel,
        inputs: Inputs,
        options: Options,
        request_id: str | None,
        idempotency_key: str | None,
    ) -> Prediction:
        """Classify rows and add them to the prediction log.

        Args:
            model: Returned by `find_model`.
            inputs: The rows.
            options: What the client requests besides the probabilities.
            request_id: The client's id of the request; None generates one.
            idempotency_key: The same for all attempts of one request, so that its rows are counted
                once; None or empty for a request that is not retried.

        Raises:
            RequestError: 400, an id is too long; or 422, the release has nothing that an option
                needs.
        """
        _check_length("request id", request_id)
        _check_length("idempotency key", idempotency_key)
        request_id = request_id or f"{self._id_prefix}{next(self._numbers):012x}"
        prediction = classify(model, inputs, options, request_id)
        self._log.append(
            LogEntry(
                time=datetime.now(UTC),
                request_id=prediction.request_id,
                idempotency_key=idempotency_key or None,  # gRPC has empty ones
                model_version=model.release.id,
                mode=self.mode,
                inputs=inputs.values,
                keys=inputs.keys,
                probabilities=prediction.probabilities,
                out_of_domain=prediction.out_of_domain,
            )
        )
        return prediction

    async def run(self, size: int, handle: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Handle a request on the event loop if it is small, else in a thread.

        Args:
            size: Size of the request in bytes.
            handle: Parses the request, predicts and encodes the response.
            args: Positional arguments of `handle`.
            kwargs: Keyword arguments of `handle`.
        """
        if size <= INLINE_BYTES and self.find_model().engine_name == "onnx":
            return handle(*args, **kwargs)
        return await self.run_in_thread(handle, *args, **kwargs)

    async def run_in_thread(self, handle: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread, so that the event loop serves other requests."""
        loop = asyncio.get_running_loop()
        self._in_threads += 1
        try:
            return await loop.run_in_executor(self._threads, lambda: handle(*args, **kwargs))
        finally:
            self._in_threads -= 1

    def _count_idle_threads(self) -> int:
        return self._cores - self._in_threads


def _check_length(name: str, text: str | None) -> None:
    if text and len(text) > MAX_ID_CHARACTERS:
        raise RequestError(
            400,
            f"the {name} has {len(text)} characters, the limit is {MAX_ID_CHARACTERS}: shorten it",
        )
