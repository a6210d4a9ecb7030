"""KServe servers: `python -m benchmarks.peers {stock,no-op} PORT GRPC_PORT FILE`."""

import sys
from pathlib import Path
from typing import Any

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response

NAME = "peer"


class Stock(Model):
    """KServe's sklearn server: loads a joblib file and predicts without validation.

    Reimplemented, because the released package pins an older scikit-learn.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(NAME)
        self._model = joblib.load(file)
        self.ready = True

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """Return classes."""
        return get_predict_response(payload, self._model.predict(get_predict_input(payload)), NAME)


class Noop(Model):
    """A model that does nothing, to measure KServe's own overhead."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.ready = True

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """Return a constant."""
        return {"predictions": ["GALAXY"]}


if __name__ == "__main__":
    kind, port, grpc_port, file = sys.argv[1:]
    peer = Stock(Path(file)) if kind == "stock" else Noop()
    ModelServer(http_port=int(port), grpc_port=int(grpc_port)).start([peer])
