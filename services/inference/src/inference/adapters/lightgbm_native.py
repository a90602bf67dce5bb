"""LightGBM through its C API: a row costs a third of what it does through the Python package.

The library file is opened directly, so that the child process of `trial` starts without the Python package.
"""

import ctypes
import importlib.util
import threading
from functools import cache
from pathlib import Path

import numpy as np

from inference.application.ports import ModelRefused

_NORMAL, _CONTRIBUTIONS = 0, 3
_FLOAT64 = 1
_PARAMETERS = b"num_threads=1"
_MAX_NAME_BYTES = 256


@cache
def _library_file() -> str:
    spec = importlib.util.find_spec("lightgbm")
    places = [Path(place) / "lib" for place in (spec.submodule_search_locations or ())] if spec else []
    found = [file for place in places for file in sorted(place.glob("lib_lightgbm.*"))]
    if not found:
        raise ImportError("the package lightgbm is missing, or was installed without its library")
    return str(found[0])


@cache
def _library() -> ctypes.CDLL:
    """Calls that let other Python threads run meanwhile."""
    library = ctypes.CDLL(_library_file())
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    library.LGBM_RegisterLogCallback(_DISCARD)
    return library


@cache
def _quick_library() -> ctypes.PyDLL:
    """The same for calls of microseconds: handing Python's lock over and back would cost more than they do."""
    library = ctypes.PyDLL(_library_file())
    library.LGBM_BoosterPredictForMatSingleRowFast.argtypes = [ctypes.c_void_p] * 4
    return library


def _discard(_: bytes) -> None:
    """LightGBM prints to the console unless told otherwise; its errors come back as codes."""


_DISCARD = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(_discard)


def _check(code: int) -> None:
    if code != 0:
        raise RuntimeError(_library().LGBM_GetLastError().decode("utf-8", "replace"))


class NativeBooster:
    """A LightGBM model. Safe to use from several threads; freed with its last reference."""

    def __init__(self, model_file: Path) -> None:
        """Raises ModelRefused for a file that is no LightGBM model."""
        self._handle = ctypes.c_void_p()
        rounds = ctypes.c_int()
        try:
            _check(
                _library().LGBM_BoosterCreateFromModelfile(
                    str(model_file).encode(), ctypes.byref(rounds), ctypes.byref(self._handle)
                )
            )
        except RuntimeError as exc:
            self._handle.value = None
            raise ModelRefused("corrupt", f"LightGBM cannot read it: {exc}") from exc
        self.feature_names = self._names()
        self.outputs = self._number("LGBM_BoosterGetNumClasses")
        self.size_bytes = model_file.stat().st_size
        self._of_thread = threading.local()

    def __del__(self) -> None:
        if self._handle.value is not None:
            _library().LGBM_BoosterFree(self._handle)

    def predict_one(self, numbers: list[float]) -> list[float]:
        """`outputs` numbers for one row of all features."""
        try:
            single: _SingleRow = self._of_thread.single
        except AttributeError:
            single = self._of_thread.single = _SingleRow(self._handle, len(self.feature_names), self.outputs)
        return single.predict(numbers)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 of shape (rows, outputs) for float64 of shape (rows, features)."""
        return self._predict(matrix, _NORMAL, self.outputs).reshape(len(matrix), self.outputs)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """SHAP values in raw units, of shape (rows, outputs, features + 1); the last column is the base value."""
        width = len(self.feature_names) + 1
        return self._predict(matrix, _CONTRIBUTIONS, self.outputs * width).reshape(len(matrix), self.outputs, width)

    def _predict(self, matrix: np.ndarray, kind: int, per_row: int) -> np.ndarray:
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise ValueError(f"a matrix of {len(self.feature_names)} columns is needed, not of shape {rows.shape}")
        out = np.empty(len(rows) * per_row)
        written = ctypes.c_int64()
        _check(
            _library().LGBM_BoosterPredictForMat(
                self._handle,
                rows.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(rows.shape[0]),
                ctypes.c_int32(rows.shape[1]),
                ctypes.c_int(1),  # row after row
                ctypes.c_int(kind),
                ctypes.c_int(0),  # from the first tree
                ctypes.c_int(-1),  # to the last
                _PARAMETERS,
                ctypes.byref(written),
                out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
            )
        )
        if written.value != len(out):
            raise RuntimeError(f"LightGBM wrote {written.value} numbers where {len(out)} were expected")
        return out

    def _number(self, function: str) -> int:
        found = ctypes.c_int()
        _check(getattr(_library(), function)(self._handle, ctypes.byref(found)))
        return found.value

    def _names(self) -> tuple[str, ...]:
        count = self._number("LGBM_BoosterGetNumFeature")
        buffers = [ctypes.create_string_buffer(_MAX_NAME_BYTES) for _ in range(count)]
        pointers = (ctypes.c_void_p * count)(*[ctypes.addressof(buffer) for buffer in buffers])
        written, needed = ctypes.c_int(), ctypes.c_size_t()
        _check(
            _library().LGBM_BoosterGetFeatureNames(
                self._handle,
                ctypes.c_int(count),
                ctypes.byref(written),
                ctypes.c_size_t(_MAX_NAME_BYTES),
                ctypes.byref(needed),
                pointers,
            )
        )
        return tuple(buffer.value.decode("utf-8", "replace") for buffer in buffers)


class _SingleRow:
    """LightGBM's prepared call for one row at a time: one thread's own buffers and configuration."""

    def __init__(self, booster: ctypes.c_void_p, features: int, outputs: int) -> None:
        self._row = (ctypes.c_double * features)()
        self._out = (ctypes.c_double * outputs)()
        self._config = ctypes.c_void_p()
        _check(
            _library().LGBM_BoosterPredictForMatSingleRowFastInit(
                booster,
                ctypes.c_int(_NORMAL),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(features),
                _PARAMETERS,
                ctypes.byref(self._config),
            )
        )
        written = ctypes.c_int64()
        self._arguments = (
            self._config.value,
            ctypes.addressof(self._row),
            ctypes.addressof(written),
            ctypes.addressof(self._out),
        )
        self._written = written  # its address is in use
        self._call = _quick_library().LGBM_BoosterPredictForMatSingleRowFast

    def __del__(self) -> None:
        if self._config.value is not None:
            _library().LGBM_FastConfigFree(self._config)

    def predict(self, numbers: list[float]) -> list[float]:
        """The outputs for one row; raises ValueError for a row of another length."""
        self._row[:] = numbers  # type: ignore[assignment]  # typeshed's element type is invariant
        if self._call(*self._arguments) != 0:
            raise RuntimeError(_library().LGBM_GetLastError().decode("utf-8", "replace"))
        return self._out[:]
