import json
import re

import pytest

import flywheel_client
from flywheel_client import errors
from flywheel_client.errors import ApiError, error_of


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.TooLarge),
        (415, errors.Invalid),
        (418, errors.Unexpected),
        (422, errors.Invalid),
        (429, errors.TooManyRequests),
        (500, errors.Unavailable),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (504, errors.Unavailable),
    ],
)
def test_each_status_is_the_error_that_the_tree_says(status, kind):
    assert type(error_of(status, b"{}")) is kind


def test_the_tree_that_the_docstring_draws_is_the_tree_that_there_is():
    drawn, above = {}, []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│├└─ ]*)([A-Z]\w+)(  |$)", line)
        if match:
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            drawn[match[2]] = above[depth - 1] if depth else "Exception"
    there = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert drawn == there
    assert set(there) <= set(flywheel_client.__all__)


def test_an_error_tells_what_the_problem_document_tells():
    document = {
        "title": "Unprocessable Content",
        "detail": "One field does not fit.",
        "errors": [{"detail": "'tardy' is not a value of late", "pointer": "/label"}],
        "event_id": "e1",
    }
    error = error_of(422, json.dumps(document).encode())

    assert (error.status, error.detail, error.event_id) == (422, "One field does not fit.", "e1")
    assert error.errors[0].pointer == "/label"
    assert "/label: 'tardy' is not a value of late" in str(error)


def test_what_is_no_problem_document_is_told_as_it_came():
    assert isinstance(error_of(502, b"<html>bad gateway"), ApiError)
    assert "bad gateway" in str(error_of(502, b"<html>bad gateway"))
