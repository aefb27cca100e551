"""The three looks of a worker's log."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from docket.cli import logs


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("docket.worker").exception("failed %s", "badly\nindeed", extra={"key": "k1"})
    logging.getLogger("docket").info("fine")
    failed, fine = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (failed["name"], failed["levelname"]) == ("docket.worker", "ERROR")
    assert (failed["message"], failed["key"]) == ("failed badly\nindeed", "k1")
    assert "ValueError: boom" in failed["exc_info"]
    written = datetime.fromisoformat(failed["asctime"])
    assert written.tzinfo is not None
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert fine["exc_info"] is None
    assert set(fine) == {"name", "levelname", "message", "exc_info", "asctime"}


def test_json_shows_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    logging.getLogger("docket").info("fine", extra={"given": {1, 2}})
    assert json.loads(capsys.readouterr().out)["given"] == "{1, 2}"


@pytest.mark.parametrize("style", logs.FORMATS)
def test_the_level_is_the_least_that_is_logged(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING", style)
    logging.getLogger("docket").info("quiet")
    logging.getLogger("docket").warning("loud")
    out = capsys.readouterr().out
    assert "loud" in out
    assert "quiet" not in out


def test_plain_names_time_level_and_logger(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "plain")
    logging.getLogger("docket.worker").info("fine")
    assert capsys.readouterr().out.endswith("] INFO docket.worker: fine\n")
