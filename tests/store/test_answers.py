"""Errors among replies: about one key, or about the server."""

from __future__ import annotations

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from docket.errors import KeyUnreadable
from docket.store.answers import about_key, answers, is_about_a_key, named, naming

WRONG = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
REFUSED = NoPermissionError("NOPERM no")


def test_an_error_about_a_key_stays_among_the_replies() -> None:
    assert is_about_a_key(WRONG)
    assert not is_about_a_key(REFUSED)
    assert answers([1, WRONG, None]) == [1, WRONG, None]


def test_an_error_about_the_server_is_raised() -> None:
    with pytest.raises(NoPermissionError):
        answers([1, WRONG, REFUSED])


def test_the_key_of_a_reply_is_named_with_what_should_be_there() -> None:
    assert named(7, "d:queue", "sorted set") == 7
    with pytest.raises(NoPermissionError):
        named(REFUSED, "d:queue", "sorted set")
    told = "^the key 'd:queue' holds something else, where docket keeps a sorted set$"
    with pytest.raises(KeyUnreadable, match=told) as raised:
        named(WRONG, "d:queue", "sorted set")
    assert isinstance(raised.value, ResponseError)
    assert about_key("d:queue", "sorted set", "a list").key == "d:queue"
    assert "holds a list, where" in str(about_key("d:queue", "sorted set", "a list"))


def test_an_error_that_comes_out_of_a_block_is_named_too() -> None:
    with pytest.raises(KeyUnreadable, match="'d:limits' holds something else, where docket keeps a hash"):
        with naming("d:limits", "hash"):
            raise WRONG
    with pytest.raises(NoPermissionError), naming("d:limits", "hash"):
        raise REFUSED
