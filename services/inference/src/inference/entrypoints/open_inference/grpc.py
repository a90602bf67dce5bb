"""The protocol over gRPC, in the process and event loop that answer HTTP. API keys come as metadata."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

import grpc

from http_api.keys import Principal
from http_api.problems import ProblemError
from inference.application.served import Lineup, ServedModel
from inference.entrypoints import replies
from inference.entrypoints.admission import too_late
from inference.entrypoints.desk import Desk
from inference.entrypoints.open_inference import model
from inference.entrypoints.open_inference import open_inference_grpc_pb2 as pb
from inference.entrypoints.open_inference.infer import (
    EXTENSIONS,
    NAME,
    PLATFORM,
    VERSION,
    Asked,
    Came,
    Replied,
    check_user_id,
    infer,
    shape_of,
    versions_of,
)
from inference.entrypoints.open_inference.tensors import (
    TEXT,
    InputError,
    Tensor,
    checked,
    decoded_text,
    from_bytes,
    from_values,
    to_bytes,
)
from telemetry import logging, tracing

log = logging.get(__name__)
_UNFORESEEN = "something went wrong on our side; the log of this service says what"
_SPAN = "inference.GRPCInferenceService/ModelInfer"
_RPC = {"rpc.system.name": "grpc", "rpc.method": _SPAN}
_Reply = TypeVar("_Reply")
_Context = grpc.aio.ServicerContext[Any, Any]
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    TEXT: "bytes_contents",
}


def _answering(
    method: Callable[[Any, Any, _Context], Awaitable[_Reply]],
) -> Callable[[Any, Any, _Context], Awaitable[_Reply]]:
    """The method, with our errors as gRPC's status codes."""

    @wraps(method)
    async def answer(self: Any, request: Any, context: _Context) -> _Reply:
        try:
            return await method(self, request, context)
        except InputError as exc:
            code, detail = grpc.StatusCode.INVALID_ARGUMENT, str(exc)
        except ProblemError as exc:
            code, detail = _CODES.get(exc.problem.status, grpc.StatusCode.INTERNAL), exc.problem.detail
        except Exception:
            log.exception("infer_failed")
            code, detail = (
                grpc.StatusCode.INTERNAL,
                _UNFORESEEN,
            )
        await context.abort(code, detail)
        raise AssertionError("abort always raises")

    return answer


def _observed(method: Callable[[Any, Any, _Context], Awaitable[_Reply]]) -> Callable[..., Awaitable[_Reply]]:
    """The method in a span below the caller's, and counted by how it ended."""

    @wraps(method)
    async def answer(self: Any, request: Any, context: _Context) -> _Reply:
        status = 500
        parent = _metadata(context).get("traceparent")
        try:
            with tracing.span(_SPAN, kind=tracing.SpanKind.SERVER, parent=parent, attributes=_RPC):
                reply = await method(self, request, context)
                status = 200
                return reply
        except InputError:
            status = 400
            raise
        except ProblemError as exc:
            status = exc.problem.status
            raise
        finally:
            replies.replied(replies.GRPC, status)

    return answer


class OpenInference:
    """The protocol's methods, by their names. Health needs no key, metadata the role read, infer the role predict."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ServerLive(self, _: Any, __: _Context) -> pb.ServerLiveResponse:  # noqa: N802 - the protocol's name
        """Whether the process answers at all."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, _: Any, __: _Context) -> pb.ServerReadyResponse:  # noqa: N802 - the protocol's name
        """Whether each model with a champion has some version that answers."""
        return pb.ServerReadyResponse(ready=self._desk.catalogue.unserved() is None)

    async def ServerMetadata(self, _: Any, __: _Context) -> pb.ServerMetadataResponse:  # noqa: N802 - likewise
        """Who this is."""
        return pb.ServerMetadataResponse(name=NAME, version=VERSION, extensions=EXTENSIONS)

    @_answering
    async def ModelReady(  # noqa: N802 - the protocol's name
        self, request: pb.ModelReadyRequest, context: _Context
    ) -> pb.ModelReadyResponse:
        """Whether the model, or the named version of it, answers; a model that does not is no error."""
        try:
            await self._served(request, context)
        except ProblemError as exc:
            if exc.problem.status != 503:
                raise
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    @_answering
    async def ModelMetadata(  # noqa: N802 - the protocol's name
        self, request: pb.ModelMetadataRequest, context: _Context
    ) -> pb.ModelMetadataResponse:
        """The model's versions, inputs and outputs."""
        served = await self._served(request, context)
        return pb.ModelMetadataResponse(
            name=served.name,
            versions=versions_of(self._desk, served),
            platform=PLATFORM,
            inputs=_described(model.inputs(served.spec)),
            outputs=_described(model.outputs(served.spec)),
        )

    @_answering
    @_observed
    async def ModelInfer(  # noqa: N802 - the protocol's name
        self, request: pb.ModelInferRequest, context: _Context
    ) -> pb.ModelInferResponse:
        """Answer each row. A reply is in raw contents where the request was."""
        started_s = time.perf_counter()
        desk, metadata = self._desk, _metadata(context)
        who = _authenticate(desk, metadata)
        who.require("predict")
        lineup = await _lineup(desk, request.model_name, request.model_version, who)
        remaining_s, size = context.time_remaining(), request.ByteSize()
        if remaining_s is not None and remaining_s <= 0.0:
            raise ProblemError(too_late())
        with desk.admission.taking_on(size):
            reply: pb.ModelInferResponse = await desk.run(
                self._infer,
                *(Came(lineup, tracing.current_traceparent(), started_s), request),
                size_bytes=size,
                deadline_s=None if remaining_s is None else started_s + remaining_s,
            )
        return reply

    def _infer(self, came: Came, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        parameters = {name: _parameter(value) for name, value in request.parameters.items()}
        asked = Asked(
            list(_tensors(request)),
            [output.name for output in request.outputs],
            check_user_id(parameters.get("user_id")),
            parameters.get("explain") is True,
        )
        reply = _response(infer(self._desk, came, asked), raw=bool(request.raw_input_contents))
        reply.id = request.id
        return reply

    async def _served(self, request: Any, context: _Context) -> ServedModel:
        who = _authenticate(self._desk, _metadata(context))
        who.require("read")
        return (await _lineup(self._desk, request.name, request.version, who)).champion


def _metadata(context: _Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


async def _lineup(desk: Desk, model_name: str, version: str, who: Principal) -> Lineup:
    return await desk.chosen(model_name, version, who) if version else desk.lineup(model_name)


def _authenticate(desk: Desk, metadata: Mapping[str, str]) -> Principal:
    return desk.keys.authenticate_text(metadata.get("authorization") or metadata.get("x-api-key"))


def _described(tensors: list[model.Described]) -> Iterator[pb.ModelMetadataResponse.TensorMetadata]:
    for each in tensors:
        yield pb.ModelMetadataResponse.TensorMetadata(name=each[0], datatype=each[1], shape=shape_of(each))


def _parameter(value: pb.InferParameter) -> Any:
    chosen = value.WhichOneof("parameter_choice")
    return None if chosen is None else getattr(value, chosen)


def _tensors(request: pb.ModelInferRequest) -> Iterator[Tensor]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(f"there are {len(request.inputs)} inputs, but {len(raw)} raw_input_contents")
    for position, tensor in enumerate(request.inputs):
        head = checked(tensor.name, tensor.datatype, list(tensor.shape))
        if raw:
            yield from_bytes(*head, raw[position])
        else:
            yield from_values(*head, _contents(tensor))


def _contents(tensor: pb.ModelInferRequest.InferInputTensor) -> list[Any]:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise InputError(f"the input {tensor.name} is {tensor.datatype}: send it in raw_input_contents")
    values = list(getattr(tensor.contents, field))
    if tensor.datatype == TEXT:
        return [decoded_text(tensor.name, value) for value in values]
    return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN is a missing number


def _response(reply: Replied, *, raw: bool) -> pb.ModelInferResponse:
    response = pb.ModelInferResponse(model_name=reply.model, model_version=reply.version)
    for tensor in reply.tensors:
        output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if raw:
            response.raw_output_contents.append(to_bytes(tensor))
        else:
            values = [value.encode() for value in tensor.values] if tensor.datatype == TEXT else tensor.values
            getattr(output.contents, _CONTENTS[tensor.datatype]).extend(values)
    return response
