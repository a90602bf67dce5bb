"""Listens for gRPC beside HTTP, in the same event loop."""

from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from inference.entrypoints.desk import MAX_BODY_BYTES, Desk
from inference.entrypoints.open_inference.grpc import OpenInference
from inference.entrypoints.open_inference.open_inference_grpc_pb2 import DESCRIPTOR
from telemetry import logging

log = logging.get(__name__)
_GRACE_S = 15.0
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_BODY_BYTES),
    # A port that another process has must be an error, not half of its traffic.
    ("grpc.so_reuseport", 0),
)


class CannotListenError(Exception):
    """The port cannot be had. The text says which variable to set."""


class GrpcServer:
    """The gRPC side of one process.

    The library cancels what arrives while it stops, and clients stay with their connection: so each is sent elsewhere
    (GOAWAY) after `connection_age_s`, and a replica that gets no new ones for longer than that has none when it stops.
    """

    def __init__(self, desk: Desk, host: str, port: int, *, connection_age_s: float) -> None:
        self._desk = desk
        self._address = f"{host}:{port}"
        self._options = (*_OPTIONS, ("grpc.max_connection_age_ms", round(connection_age_s * 1000)))
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises CannotListenError."""
        server = grpc.aio.server(options=self._options)
        server.add_generic_rpc_handlers((_handlers(OpenInference(self._desk)),))
        try:
            server.add_insecure_port(self._address)
        except RuntimeError as exc:
            taken = (
                f"{self._address} cannot be listened on; set INFERENCE_GRPC_PORT to a free port, or to 0 for no gRPC"
            )
            raise CannotListenError(taken) from exc
        await server.start()
        self._server = server
        log.info("listening_grpc", address=self._address)

    async def stop(self) -> None:
        """Take on nothing new; calls that run get some seconds to end."""
        if self._server is not None:
            await self._server.stop(_GRACE_S)


def _handlers(service: OpenInference) -> "grpc.GenericRpcHandler[Any, Any]":
    """Every method of the protocol, as its definition describes it. Raises AttributeError where `service` lacks one."""
    protocol = DESCRIPTOR.services_by_name["GRPCInferenceService"]
    methods = {
        method.name: grpc.unary_unary_rpc_method_handler(
            getattr(service, method.name),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
        for method in protocol.methods
    }
    return grpc.method_handlers_generic_handler(protocol.full_name, methods)
