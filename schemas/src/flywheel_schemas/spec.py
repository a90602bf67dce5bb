"""Reading a model spec: the one file that says what a model is, how it learns and how it is rolled out."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flywheel_schemas.spec_model import (
    RESERVED_COLUMNS,
    FeatureSpec,
    FeedbackPolicy,
    GatePolicy,
    LabelSpec,
    ModelSpec,
    RetrainPolicy,
    RolloutPolicy,
    Task,
    TrainingPolicy,
    format_duration,
    parse_duration,
)

__all__ = [
    "RESERVED_COLUMNS",
    "FeatureSpec",
    "FeedbackPolicy",
    "GatePolicy",
    "LabelSpec",
    "ModelSpec",
    "RetrainPolicy",
    "RolloutPolicy",
    "SpecError",
    "Task",
    "TrainingPolicy",
    "dump_spec",
    "format_duration",
    "load_spec",
    "load_specs",
    "parse_duration",
    "parse_spec",
]

_MAX_SHOWN_CHARS = 80


class SpecError(ValueError):
    """A spec file that cannot be used. The text names the file, the line and the remedy."""


class _SpelledInt(int):
    """A whole number that remembers how the file spells it: 007 is a category, not seven."""

    spelled: str


class _SpelledFloat(float):
    """A number that remembers how the file spells it."""

    spelled: str


class _Loader(yaml.SafeLoader):
    """YAML without anchors, whose numbers remember their spelling."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses aliases: a spec has no use for them, and a few nested ones fill the memory."""
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.composer.ComposerError(None, None, "a spec takes no anchors and aliases; write it out", mark)
        return super().compose_node(parent, index)

    def spelled_int(self, node: yaml.ScalarNode) -> _SpelledInt:
        """A YAML integer."""
        number = _SpelledInt(self.construct_yaml_int(node))
        number.spelled = node.value
        return number

    def spelled_float(self, node: yaml.ScalarNode) -> _SpelledFloat:
        """A YAML number with a point or an exponent."""
        number = _SpelledFloat(self.construct_yaml_float(node))
        number.spelled = node.value
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.spelled_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.spelled_float)


def parse_spec(text: str, origin: str = "spec") -> ModelSpec:
    """The spec in the YAML `text`. Raises SpecError that names `origin`, the line and what to mend."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        loaded: Any = loader.construct_document(root) if root is not None else None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise SpecError(f"{origin}:{line}: this is not valid YAML: {exc.problem}") from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise SpecError(f"{origin}:1: this is not valid YAML: {exc}") from exc
    if not isinstance(loaded, dict):
        raise SpecError(f"{origin}:1: a spec is a mapping with at least name, task, label and features")
    if duplicate := _duplicate_key(root):
        raise SpecError(f"{origin}:{duplicate[1]}: the key {duplicate[0]} stands here a second time; keep one")
    try:
        return ModelSpec.model_validate(loaded)
    except ValidationError as exc:
        lines = [
            f"{origin}:{_line_of(root, error['loc'])}: {_path(error['loc'])}{_remedy(error)}" for error in exc.errors()
        ]
        raise SpecError("\n".join(lines)) from exc


def load_spec(path: Path) -> ModelSpec:
    """The spec in the file `path`. Raises SpecError that names file, line and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise SpecError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SpecError(f"{path}: is not UTF-8 text; save it as UTF-8") from exc
    return parse_spec(text, str(path))


def load_specs(folder: Path) -> dict[str, ModelSpec]:
    """Every `*.yaml` and `*.yml` in `folder` by model name. Raises SpecError for a wrong or repeated one."""
    if not folder.is_dir():
        raise SpecError(f"{folder}: is no folder; let MODEL_SPECS_DIR name the folder that holds the specs")
    specs: dict[str, ModelSpec] = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        spec = load_spec(path)
        if spec.name in specs:
            raise SpecError(f"{path}: model {spec.name} is described by another file of {folder} too; keep one")
        specs[spec.name] = spec
    return specs


def dump_spec(spec: ModelSpec) -> str:
    """`spec` as YAML that `parse_spec` reads back as an equal spec."""
    said = spec.model_dump(mode="json", exclude_none=True)
    if spec.retrain.feedback_count is None:
        said["retrain"]["feedback_count"] = None  # left out, it would be the default again
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)


def _path(loc: tuple[int | str, ...]) -> str:
    return f"{'.'.join(str(part) for part in loc)}: " if loc else ""


def _remedy(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "there is no such key; remove it, or look for a spelling mistake"
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            found = repr(error["input"])
            shown = found if len(found) <= _MAX_SHOWN_CHARS else f"{found[:_MAX_SHOWN_CHARS]}…"
            return f"{error['msg']} (found: {shown})"


def _line_of(node: yaml.Node | None, loc: tuple[int | str, ...]) -> int:
    """Line, counted from 1, of the deepest node on the way to `loc` that the file holds."""
    line = 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if entry is None:
                return line
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _duplicate_key(node: yaml.Node | None) -> tuple[str, int] | None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                return key.value, key.start_mark.line + 1
            seen.add(key.value)
            if found := _duplicate_key(value):
                return found
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if found := _duplicate_key(item):
                return found
    return None
