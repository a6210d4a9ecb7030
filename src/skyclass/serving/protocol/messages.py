"""The messages and the service of the Open Inference Protocol over gRPC.

They are those of kserve, whose package imports the Kubernetes client, FastAPI and pandas: its
module of messages is loaded alone, which saves the predictor a second and 70 MB.
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
else:

    def _load() -> ModuleType:
        package = find_spec("kserve")  # does not run the package
        path = Path(package.origin).parent / "protocol/grpc/grpc_predict_v2_pb2.py"
        spec = spec_from_file_location(path.stem, path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    pb = _load()

__all__ = ["make_handler", "pb"]

SERVICE = "GRPCInferenceService"


def make_handler(servicer: object) -> grpc.GenericRpcHandler:
    """Return a handler that calls the method of each name of the service.

    Args:
        servicer: Has a method for each method of the service.
    """
    service = pb.DESCRIPTOR.services_by_name[SERVICE]
    methods = {
        method.name: grpc.unary_unary_rpc_method_handler(
            getattr(servicer, method.name),
            request_deserializer=getattr(pb, method.input_type.name).FromString,
            response_serializer=getattr(pb, method.output_type.name).SerializeToString,
        )
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, methods)
