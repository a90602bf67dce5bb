import json
import logging as stdlib

import pytest

from telemetry import logging, tracing


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was():
    root = stdlib.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging._apply("flywheel", stdlib.WARNING, cache=False)


def test_a_line_is_a_json_object_with_event_fields_and_service(capsys):
    logging.configure("ingest")
    logging.get("ingest.tests").info("model_promoted", model="flights", version="7")
    (line,) = lines(capsys.readouterr().err)
    assert {k: line[k] for k in ("event", "model", "version", "service", "level", "logger")} == {
        "event": "model_promoted",
        "model": "flights",
        "version": "7",
        "service": "ingest",
        "level": "info",
        "logger": "ingest.tests",
    }
    assert line["timestamp"].endswith("Z")


def test_nothing_goes_to_stdout_even_before_configure(capsys):
    logging.get("early").warning("careful")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert lines(captured.err)[0]["event"] == "careful"


def test_lines_below_the_level_are_not_written(capsys):
    logging.configure("ingest", "warning")
    logging.get("x").info("too_quiet")
    stdlib.getLogger("y").info("too quiet as well")
    assert capsys.readouterr().err == ""


def test_the_standard_librarys_loggers_take_the_same_way(capsys):
    logging.configure("ingest")
    stdlib.getLogger("uvicorn.error").warning("port %s is odd", 1)
    (line,) = lines(capsys.readouterr().err)
    assert (line["event"], line["logger"], line["service"]) == ("port 1 is odd", "uvicorn.error", "ingest")


def test_a_line_carries_the_ids_of_the_running_span(capsys):
    logging.configure("ingest")
    with tracing.span("work"):
        traceparent = tracing.current_traceparent()
        logging.get("x").info("inside")
    logging.get("x").info("outside")
    inside, outside = lines(capsys.readouterr().err)
    assert (inside["trace_id"], inside["span_id"]) == tuple(traceparent.split("-")[1:3])
    assert "trace_id" not in outside


def test_an_exception_is_logged_with_its_traceback(capsys):
    logging.configure("ingest")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logging.get("x").exception("it_failed")
    (line,) = lines(capsys.readouterr().err)
    assert "RuntimeError: broken" in line["exception"]


def test_a_level_that_does_not_exist_is_refused_with_the_ones_that_do():
    with pytest.raises(ValueError, match="LOUD' does not exist; choose one of DEBUG"):
        logging.configure("ingest", "LOUD")


def test_values_that_json_does_not_know_are_written_as_text(capsys):
    logging.configure("ingest")
    logging.get("x").info("odd", path=__import__("pathlib").Path("/a"), name="Zürich")
    err = capsys.readouterr().err
    assert '"path": "/a"' in err
    assert "Zürich" in err
