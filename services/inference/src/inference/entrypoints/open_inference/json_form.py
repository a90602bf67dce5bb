"""Requests and replies as HTTP has them: JSON, with binary data after it where the extension is used."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from http_api import json_body
from inference.entrypoints.open_inference.infer import Asked, Replied, check_user_id
from inference.entrypoints.open_inference.tensors import (
    InputError,
    Tensor,
    checked,
    from_bytes,
    from_values,
    to_bytes,
)

Json = dict[str, Any]
_encode = msgspec.json.Encoder().encode


def read(raw: bytes, json_length: str | None) -> Asked:
    """What `raw` asks; `json_length` is the header Inference-Header-Content-Length. Raises InputError, ProblemError."""
    end = _json_end(json_length, len(raw))
    body = json_body.parse_strict(raw[:end])
    if not isinstance(body, dict):
        raise InputError("the body is an object with inputs")
    one_id, parameters = body.get("id"), _parameters(body)
    if one_id is not None and not isinstance(one_id, str):
        raise InputError("id is text")
    wanted = list(_wanted(body.get("outputs")))
    return Asked(
        tensors=list(_inputs(body.get("inputs"), raw[end:])),
        wanted=[name for name, _ in wanted],
        user_id=check_user_id(parameters.get("user_id")),
        explain=_flag(parameters, "explain", False),
        id=one_id,
        binary={name for name, own in wanted if _flag(own, "binary_data", False)},
        all_binary=_flag(parameters, "binary_data_output", False),
        plain={name for name, own in wanted if own.get("binary_data") is False},
    )


def write(reply: Replied, asked: Asked) -> tuple[bytes, int | None]:
    """The reply's body, and the length of the JSON that it begins with when binary data follows."""
    described, blobs = [], []
    for tensor in reply.tensors:
        head: Json = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if tensor.name in asked.binary or (asked.all_binary and tensor.name not in asked.plain):
            blobs.append(to_bytes(tensor))
            described.append({**head, "parameters": {"binary_data_size": len(blobs[-1])}})
        else:
            described.append({**head, "data": tensor.values})
    document: Json = {"model_name": reply.model, "model_version": reply.version, "outputs": described}
    if asked.id is not None:
        document = {"id": asked.id, **document}
    body = _encode(document)
    return body + b"".join(blobs), len(body) if blobs else None


def _json_end(text: str | None, length: int) -> int:
    if text is None:
        return length
    if not text.isascii() or not text.isdigit() or int(text) > length:
        raise InputError("Inference-Header-Content-Length is the length of the JSON at the beginning of the body")
    return int(text)


def _inputs(found: object, blobs: bytes) -> Iterator[Tensor]:
    if not isinstance(found, list) or not found:
        raise InputError("inputs is a list of tensors: {name, datatype, shape, data}")
    at = 0
    for tensor in found:
        if not isinstance(tensor, dict):
            raise InputError("each input is an object with name, datatype, shape and data")
        head = checked(*(tensor.get(key) for key in ("name", "datatype", "shape")))
        size = _parameters(tensor).get("binary_data_size")
        if size is None:
            yield _from_json(head, tensor.get("data"))
            continue
        if type(size) is not int or not 0 <= size <= len(blobs) - at:
            raise InputError(f"the input {head[0]} says {size!r} bytes, but {len(blobs) - at} follow the JSON")
        yield from_bytes(*head, blobs[at : at + size])
        at += size
    if at != len(blobs):
        raise InputError(f"{len(blobs) - at} bytes after the JSON belong to no input")


def _from_json(head: tuple[str, str, tuple[int, ...]], data: object) -> Tensor:
    if not isinstance(data, list):
        raise InputError(f"the input {head[0]} needs data, a list, or parameters.binary_data_size")
    return from_values(*head, data)


def _wanted(found: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    outputs: Sequence[object] = [] if not found else found if isinstance(found, list) else [found]
    for output in outputs:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(output, dict) or not isinstance(name, str):
            raise InputError("outputs is a list of objects with a name")
        yield name, _parameters(output)


def _parameters(of: Json) -> Json:
    parameters = of.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InputError("parameters is an object of numbers, texts and truth values")
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"the parameter {name} is true or false")
    return value
