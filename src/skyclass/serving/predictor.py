"""The model as KServe sees it: questions are answered and logged."""

import asyncio
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import kserve

from skyclass.registry.models import LoadedModel
from skyclass.serving.answers import Answer
from skyclass.serving.objects import Objects, Refusal
from skyclass.serving.prediction_log import Answered, PredictionLog
from skyclass.serving.requests import read_v1
from skyclass.serving.settings import ServingSettings
from skyclass.serving.tensors import CLASS_OUTPUT, PROBABILITIES_OUTPUT, V2Request, read_v2
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import CLASSES

INLINE_BYTES = 4096
"""So small a request an ONNX model answers in about a millisecond: less than a change of threads
costs under load, and too short to keep the event loop from its other connections."""

_LONGEST_REQUEST_ID = 128

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose objects can be classified."""

    id: str
    objects: Objects


class Predictor(kserve.Model):  # type: ignore[misc] # kserve publishes no types
    """Answers requests with the release that is served at the moment.

    Our endpoints call `predict` themselves. KServe's own way to it, `Model.__call__`, takes three
    times as long as a forest does for one object, to time it in buckets that are too coarse for it.
    """

    def __init__(self, mode: Mode, log: PredictionLog, settings: ServingSettings) -> None:
        """Prepare to answer; until `change_to` has brought a model every request gets a 503.

        Args:
            mode: The mode of every model that will be served.
            log: Where answers are kept.
            settings: Limits on requests.
        """
        super().__init__(model_name(mode))
        self.mode = mode
        self._model: LoadedModel | None = None
        self._log = log
        self._settings = settings
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "model")

    @property
    def model(self) -> LoadedModel:
        """What is served at the moment.

        Raises:
            Refusal: 503, nothing yet.
        """
        if self._model is None:
            raise Refusal(
                503, f"{self.name} is being loaded: ask again soon", ((b"retry-after", b"1"),)
            )
        return self._model

    def change_to(self, model: LoadedModel) -> None:
        """Answer with another model from now on; requests in flight keep theirs."""
        self._model = model

    def read_v1(self, payload: dict[str, Any], request_id: str | None) -> Question:
        """Read a V1 request.

        Args:
            payload: Its parsed body.
            request_id: The caller's name for it.

        Raises:
            Refusal: It cannot be answered.
        """
        objects = read_v1(payload, self.mode, self._settings.max_rows)
        return Question(_name(request_id), objects)

    def read_v2(self, request: V2Request, request_id: str | None) -> Question:
        """Read a V2 request.

        Args:
            request: The request, whose form has been checked.
            request_id: The caller's name for it; the request's own counts when not given.

        Raises:
            Refusal: It cannot be answered.
        """
        objects = read_v2(request.tensors, self.mode, self._settings.max_rows)
        return Question(_name(request_id or request.id), objects)

    def predict(self, question: Question) -> Answer:
        """Classify objects and keep the answer in the prediction log.

        Raises:
            Refusal: 503, there is no model yet.
        """
        model, objects = self.model, question.objects
        probabilities = model.probabilities(objects.inputs)
        self._log.offer(
            Answered(
                time=datetime.now(UTC),
                request_id=question.id,
                model_version=model.release.id,
                mode=self.mode,
                inputs=objects.inputs,
                keys=objects.keys,
                probabilities=probabilities,
            )
        )
        return Answer(question.id, model.release.id, probabilities, objects.flags)

    async def run(self, size: int, answer: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Answer a request without keeping others from theirs.

        Args:
            size: The request's size in bytes.
            answer: Reads it, predicts, and writes the answer.
            args: Its arguments.
            kwargs: Its arguments by name.
        """
        if size <= INLINE_BYTES and self.model.engine_name == "onnx":
            return answer(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: answer(*args, **kwargs))

    def get_input_types(self) -> list[dict[str, Any]]:
        """One column per input: V2's metadata can name them in no other form."""
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in INPUTS[self.mode]]

    def get_output_types(self) -> list[dict[str, Any]]:
        """The class and the probabilities of each object."""
        return [
            {"name": CLASS_OUTPUT, "datatype": "BYTES", "shape": [-1]},
            {"name": PROBABILITIES_OUTPUT, "datatype": "FP32", "shape": [-1, len(CLASSES)]},
        ]


def _name(given: str | None) -> str:
    if given and len(given) > _LONGEST_REQUEST_ID:
        raise Refusal(400, f"the request's id is longer than {_LONGEST_REQUEST_ID}")
    return given or str(uuid.uuid4())
