"""What a server is asked to do."""

import socket
from dataclasses import dataclass

from skyclass.serving.settings import ServingSettings
from skyclass.settings import Settings
from skyclass.survey.features import Mode


@dataclass(frozen=True)
class Task:
    """What is served, and where; the same for all workers of a server.

    Attributes:
        settings: Where the object store and the home folder are.
        options: Settings of the predictor.
        mode: Which model.
        release: The folder of a release, or its address; the champion is followed when not given.
        listener: Where HTTP is spoken: a bound socket.
        grpc_address: Where gRPC is spoken: a port that is bound already and may be shared.
    """

    settings: Settings
    options: ServingSettings
    mode: Mode
    release: str | None
    listener: socket.socket
    grpc_address: tuple[str, int]
