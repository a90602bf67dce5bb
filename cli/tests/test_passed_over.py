from flywheel_cli.passed_over import passed_over
from flywheel_schemas.spec import parse_spec

PLAIN = """
name: tickets
task: binary
label: {name: priority, values: [normal, urgent], positive: urgent}
features:
  - {name: words, type: number}
"""


def test_a_plain_spec_is_acted_on_in_full():
    assert passed_over(parse_spec(PLAIN)) == []
    retrain = "retrain: {quality: {below: 0.7}, drift: {psi_above: 0.2}, every: 30d}\n"
    assert passed_over(parse_spec(PLAIN + retrain)) == []
    training = "training: {mode: continue, search_trials: 5}\nfeedback: {max_share_per_key: 0.5}\n"
    assert passed_over(parse_spec(PLAIN + training)) == []
    assert passed_over(parse_spec(PLAIN + "retrain: {feedback_count: 50}\nrollout: {strategy: canary}\n")) == []


def test_every_wish_without_effect_is_named():
    wishes = {
        "retention: {vacuum_after: 7d}": {"retention"},
    }
    for lines, expected in wishes.items():
        said = {sentence.split(":")[0].rpartition(".")[2] for sentence in passed_over(parse_spec(PLAIN + lines + "\n"))}
        assert said == expected
