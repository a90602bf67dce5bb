import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel_schemas.spec import (
    ModelSpec,
    SpecError,
    dump_spec,
    format_duration,
    load_spec,
    load_specs,
    parse_duration,
    parse_spec,
)

MINIMAL = """\
name: flights
task: binary
label: {name: late, values: [on_time, late], positive: late}
features:
  - {name: carrier, type: category, values: [UA, AA], required: true}
  - name: distance
    type: number
    range: [0, 6000]
"""
FULL = (
    MINIMAL
    + """\
base_dataset: base.csv
feedback: {audit_percent: 2, dedup_window: 7d, max_share_per_user: 0.02, max_share_per_key: 0.5}
retrain:
  feedback_count: 2000
  quality: {metric: accuracy, below: 0.70, window: 7d}
  drift: {psi_above: 0.2, window: 7d}
  every: 30d
  cooldown: 10m
training:
  mode: full
  params: {learning_rate: 0.05, num_leaves: 31, boosting: gbdt, extra_trees: true}
  rounds: 300
  search_trials: 0
  holdout: 0.2
gates: {metric: auc, min_gain: 0.0, confidence: 0.9, max_slice_loss: 0.02, golden: golden.parquet, max_latency: 5ms}
rollout:
  strategy: canary
  shadow: {min_predictions: 500}
  steps: [5, 25, 50]
  min_feedback: 200
  guardrails: {error_rate_above: 0.01, p99_above: 50ms, quality_loss_above: 0.02}
  give_up_after: 7d
retention: {dataset_versions: 365d, vacuum_after: 7d}
"""
)


def changed(old: str, new: str, text: str = MINIMAL) -> str:
    assert old in text
    return text.replace(old, new)


def error_of(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "flights.yaml")
    return str(caught.value)


def test_four_keys_make_a_model_and_the_rest_has_defaults() -> None:
    spec = parse_spec(MINIMAL)
    assert spec.classes == ("on_time", "late")
    assert spec.feature_names == ("carrier", "distance")
    assert spec.gate_metric == "auc"
    assert spec.feedback.dedup_window == timedelta(days=7)
    assert spec.rollout.strategy == "instant"


def test_every_key_of_a_full_spec_is_read() -> None:
    spec = parse_spec(FULL)
    assert spec.retrain.quality is not None
    assert spec.retrain.quality.below == 0.70
    assert spec.retrain.cooldown == timedelta(minutes=10)
    assert spec.training.params == {"learning_rate": 0.05, "num_leaves": 31, "boosting": "gbdt", "extra_trees": True}
    assert spec.gates.max_latency == timedelta(milliseconds=5)
    assert spec.rollout.steps == (5.0, 25.0, 50.0)
    assert spec.retention.dataset_versions == timedelta(days=365)


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_a_dumped_spec_reads_back_equal(text: str) -> None:
    spec = parse_spec(text)
    assert parse_spec(dump_spec(spec)) == spec


MISTAKES: list[tuple[str, str, int, str]] = [
    # what, the text, the line that is named, the remedy that is given
    ("an unknown key", changed("task: binary", "task: binary\nroll_out: {}"), 3, r"roll_out: there is no such key"),
    ("an unknown nested key", changed("required: true", "mandatory: true"), 5, r"mandatory: there is no such key"),
    ("a missing key", changed("task: binary\n", ""), 1, r"task: is missing; add it"),
    ("a missing nested key", changed("    type: number\n", ""), 6, r"features\.1\.type: is missing"),
    ("an unknown task", changed("binary", "clustering"), 2, r"'binary', 'multiclass' or 'regression'.*clustering"),
    ("a bad name", changed("name: flights", "name: Flights!"), 1, r"name: .*pattern"),
    ("a category without values", changed("values: [UA, AA], ", ""), 5, r"carrier needs values"),
    ("a number with values", changed("range: [0, 6000]", "values: [a]"), 6, r"distance has no values"),
    ("a category with a range", changed("required: true", "range: [0, 1]"), 5, r"carrier has no range"),
    ("a repeated value", changed("[UA, AA]", "[UA, AA, UA]"), 5, r"repeated: UA"),
    ("a reversed range", changed("[0, 6000]", "[6000, 0]"), 8, r"lower end comes first: \[0, 6000\]"),
    ("a range of nothing", changed("[0, 6000]", "[.nan, 0]"), 8, r"write two numbers"),
    ("a repeated feature", changed("name: distance", "name: carrier"), 1, r"repeated: carrier"),
    ("a reserved name", changed("name: distance", "name: event_id"), 1, r"rename them: event_id"),
    (
        "an unknown positive class",
        changed("positive: late", "positive: early"),
        1,
        r"one of the label's values: on_time",
    ),
    ("one class", changed("[on_time, late]", "[late]"), 1, r"exactly two values"),
    ("a multiclass of two", changed("task: binary", "task: multiclass"), 1, r"at least three values"),
    ("a regression with classes", changed("task: binary", "task: regression"), 1, r"no values and no positive"),
    ("a metric of another task", MINIMAL + "gates: {metric: rmse}\n", 1, r"one of: accuracy, auc, log_loss"),
    ("a duration without unit", MINIMAL + "feedback: {dedup_window: 7}\n", 9, r"5ms, 30s, 10m, 12h or 7d"),
    ("a duration of ages", MINIMAL + "feedback: {dedup_window: 9999999999999d}\n", 9, r"no duration is that long"),
    ("a share above one", MINIMAL + "feedback: {max_share_per_user: 2}\n", 9, r"less than or equal to 1"),
    ("a key twice", MINIMAL + "task: binary\n", 9, r"the key task stands here a second time"),
    ("a nested key twice", MINIMAL + "gates: {min_gain: 0,\n  min_gain: 1}\n", 10, r"min_gain stands here a second"),
    ("no features", MINIMAL[: MINIMAL.index("features:")] + "features: []\n", 4, r"at least 1 item"),
    ("unquoted yes and no", changed("[on_time, late]", "[no, yes]"), 3, r"truth value; put it in quotes"),
    ("an unquoted null", changed("[UA, AA]", "[UA, ~]"), 5, r"nothing at all; put it in quotes"),
    ("an unquoted date", changed("[UA, AA]", "[UA, 2026-11-24]"), 5, r"a date; put it in quotes"),
    ("broken YAML", changed("[UA, AA]", "[UA, AA"), 5, r"not valid YAML"),
    ("a tab", changed("    type", "\ttype"), 7, r"not valid YAML"),
    ("an impossible date", changed("[UA, AA]", "[UA, 2026-99-99]"), 1, r"not valid YAML"),
    ("an alias", "name: &n flights\ntask: *n\n", 2, r"no anchors and aliases"),
    ("no mapping", "- flights\n", 1, r"a spec is a mapping"),
    ("nothing", "", 1, r"a spec is a mapping"),
    ("a NUL", "name: a\0b", 1, r"not valid YAML"),
    ("two documents", MINIMAL + "---\nname: b\n", 9, r"not valid YAML"),
]


@pytest.mark.parametrize(("what", "text", "line", "remedy"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_is_named_with_file_line_and_remedy(what: str, text: str, line: int, remedy: str) -> None:
    assert re.search(rf"^flights\.yaml:{line}: .*{remedy}", error_of(text), re.MULTILINE), error_of(text)


def test_all_mistakes_are_told_at_once() -> None:
    error = error_of(changed("task: binary", "task: x", changed("required: true", "mandatory: true")))
    assert len(error.splitlines()) == 2


def test_a_long_wrong_value_does_not_flood_the_message() -> None:
    assert len(error_of(changed("task: binary", f"task: {'x' * 100_000}"))) < 400


def test_endless_nesting_is_an_error_and_no_crash() -> None:
    assert "not valid YAML" in error_of("name: " + "[" * 10_000)


def test_a_number_as_a_category_is_the_text_that_the_file_spells() -> None:
    spec = parse_spec(changed("[UA, AA]", "[007, 1e3, 1.50, 0x10, -3, 'yes']"))
    assert spec.features[0].values == ("007", "1e3", "1.50", "0x10", "-3", "yes")
    assert parse_spec(dump_spec(spec)) == spec


def test_an_open_range_is_allowed() -> None:
    spec = parse_spec(changed("[0, 6000]", "[0, .inf]"))
    assert spec.features[1].range == (0.0, float("inf"))
    assert parse_spec(dump_spec(spec)) == spec


@given(text=st.text() | st.from_regex(r"\A[\[\]{}:,&*!|>'\"a-z0-9 \n-]{0,60}\Z"))
def test_any_text_is_a_spec_or_a_spec_error(text: str) -> None:
    try:
        parse_spec(text)
    except SpecError as exc:
        assert re.match(r"spec:\d+: ", str(exc))


@given(amount=st.integers(0, 10**6), unit=st.sampled_from(["ms", "s", "m", "h", "d"]), tenths=st.integers(0, 9))
def test_a_duration_is_spelled_so_that_it_reads_back(amount: int, unit: str, tenths: int) -> None:
    duration = parse_duration(f"{amount}.{tenths}{unit}")
    assert isinstance(duration, timedelta)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("wrong", ["", "7", "d", "-1d", "7 d", "7D", "1d2h", "\u0661d", 7, None, True])
def test_other_spellings_of_a_duration_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="number and a unit"):
        parse_duration(wrong)


def test_a_folder_of_specs_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL)
    (tmp_path / "b.yml").write_text(MINIMAL.replace("name: flights", "name: trains"))
    (tmp_path / "README.md").write_text("no spec")
    assert set(load_specs(tmp_path)) == {"flights", "trains"}


def test_two_specs_of_one_name_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(MINIMAL)
    with pytest.raises(SpecError, match=r"b\.yaml: model flights is described by another file"):
        load_specs(tmp_path)


def test_a_folder_that_is_not_there_names_the_variable_to_set(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="MODEL_SPECS_DIR"):
        load_specs(tmp_path / "nowhere")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nothing\.yaml: cannot be read: No such file"):
        load_spec(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: ä".encode("latin-1"))
    with pytest.raises(SpecError, match="save it as UTF-8"):
        load_spec(tmp_path / "latin.yaml")


def test_the_shipped_specs_and_the_example_of_their_readme_are_valid() -> None:
    models = Path(__file__).parents[1] / "models"
    for path in models.glob("*.yaml"):
        assert load_spec(path).name == path.stem
    example = re.search(r"```yaml\n(.*?)```", (models / "README.md").read_text(), re.DOTALL)
    assert example
    assert isinstance(parse_spec(example[1]), ModelSpec)


def test_a_model_that_no_count_retrains_stays_so_when_its_spec_is_kept():
    spec = parse_spec(
        "{name: fruit, task: binary, label: {name: ripe, values: [green, red], positive: red},"
        " features: [{name: weight, type: number}], retrain: {feedback_count: null}}"
    )
    assert parse_spec(dump_spec(spec)) == spec
    assert spec.retrain.feedback_count is None
