"""GET /assets/feedback/v1/…: the feedback component, built into this package by `make web`.

A file's name changes with its content, so browsers may keep it for ever and a page may pin it by its integrity;
the manifest says which one is current. Builds that were released stay, for the pages that pin them.
"""

from pathlib import Path
from typing import Literal

import msgspec
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, Response

from http_api.problems import Problem, ProblemError

PATH = "/assets/feedback/v1"
FOLDER = Path(__file__).parent / "assets/feedback/v1"
_OPEN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_FOR_EVER = {**_OPEN, "Cache-Control": "public, max-age=31536000, immutable"}
_FOR_A_MINUTE = {**_OPEN, "Cache-Control": "public, max-age=60"}


class Built(msgspec.Struct, frozen=True):
    """The current build: its name, Subresource Integrity value and size, and the digest of what it was built from."""

    file: str
    integrity: str
    bytes: int
    sources: str


class ComponentBody(BaseModel):
    """The current build of <flywheel-feedback>."""

    version: Literal["1"] = "1"
    path: str = Field(description="Where this service serves it")
    integrity: str = Field(description="Subresource Integrity (SHA-384) of the file at that path")
    bytes: int


def current() -> Built:
    """What the folder's manifest names."""
    return msgspec.json.decode((FOLDER / "manifest.json").read_bytes(), type=Built)


def install(app: FastAPI) -> None:
    """Add the manifest and the files to `app`; both are for anybody, from any page."""
    built = current()
    files = {path.name for path in FOLDER.glob("*.js")}

    @app.get(f"{PATH}/manifest.json", summary="The current build of the feedback component")
    async def manifest(response: Response) -> ComponentBody:
        response.headers.update(_FOR_A_MINUTE)
        return ComponentBody(path=f"{PATH}/{built.file}", integrity=built.integrity, bytes=built.bytes)

    @app.get(f"{PATH}/{{file}}", include_in_schema=False)
    async def component(file: str) -> Response:
        if file not in files:
            raise ProblemError(_gone(file))
        return FileResponse(FOLDER / file, media_type="text/javascript", headers=_FOR_EVER)


def _gone(file: str) -> Problem:
    return Problem(404, "Not Found", f"There is no build named {file}; {PATH}/manifest.json names the current one.")
