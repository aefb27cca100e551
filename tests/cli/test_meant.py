"""No command claims success for what cannot be meant: a docket, a task or a strike that there is not."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import suppress
from typing import Any

import pytest
import redis

from docket import Docket, Worker
from docket.cli.app import docket_app, run
from tests.cli.office import BIN, Office
from tests.cli.test_commands import complaint, said, words_of
from tests.servers import Server

NO_DOCKET = "there is no docket 'typo' on this server; see --docket and --url"


@pytest.mark.parametrize(
    "tokens",
    [
        ["strike", "trace"],
        ["strike", "*", "customer", "==", "x"],
        ["restore", "trace"],
        ["clear"],
        ["pause"],
        ["pause", "trace", "--json"],
        ["resume"],
        ["pauses"],
        ["failures"],
        ["failures", "k1"],
        ["retry", "k1"],
        ["retry", "--all", "--yes"],
        ["discard", "k1", "k2"],
        ["run-now", "k1"],
        ["snapshot"],
        ["watch", "k1"],
        ["workers", "ls"],
        ["workers", "for-task", "trace"],
        ["schedules"],
        ["tasks", "ls"],
        ["status", "--json"],
        ["show", "k1"],
    ],
    ids=words_of,
)
def test_a_docket_that_nobody_has_used_is_named(here: Office, tokens: list[str], capsys: Any) -> None:
    assert complaint(capsys, 1, *tokens, "--docket", "typo") == NO_DOCKET


class TestStrike:
    def test_a_task_that_nobody_knows_is_not_struck(self, here: Office, capsys: Any) -> None:
        assert complaint(capsys, 1, "strike", "trac") == (
            "no worker is alive that knows a task 'trac', and none waits on docket 'docket' (did you mean 'trace'?);"
            " --force strikes it all the same"
        )
        with here.working():
            assert complaint(capsys, 1, "strike", "write").startswith("no live worker knows a task 'write'")
        assert here.ask(lambda docket: docket.strikes()) == []

    def test_a_task_that_a_worker_knows_or_that_waits_is(self, here: Office, capsys: Any) -> None:
        with here.working():
            assert said(capsys, "strike", "paint") == "Striking paint\n"

        async def leave(docket: Docket) -> None:
            async def remote() -> None: ...

            await docket.restore("paint")
            await docket.add(remote)()

        here.ask(leave)
        assert said(capsys, "strike", "remote") == "Striking remote\n"

    def test_by_force_anything_is(self, here: Office, capsys: Any) -> None:
        said(capsys, "strike", "to_come", "--force")
        said(capsys, "strike", "to_come", "--force", "--docket", "to-come")
        assert [one.function for one in here.ask(lambda docket: docket.strikes())] == ["to_come"]


class TestRestore:
    def test_what_is_not_struck_is_not_restored(self, here: Office, capsys: Any) -> None:
        not_struck = "trace is not struck on docket 'docket': "
        assert complaint(capsys, 1, "restore", "trace") == f"{not_struck}nothing is"
        said(capsys, "strike", "trace", "message", "==", "a")
        said(capsys, "strike", "fail")
        assert (
            complaint(capsys, 1, "restore", "trace") == f"{not_struck}struck are: fail, trace message == 'a'"
        )
        assert "is not struck" in complaint(capsys, 1, "restore", "trace", "message", "==", "b")
        assert len(here.ask(lambda docket: docket.strikes())) == 2

    def test_a_strike_whose_value_cannot_be_seen_is_restored(self, here: Office, capsys: Any) -> None:
        words = ["trace", "message", "==", "pathlib.PurePosixPath:/x"]
        said(capsys, "strike", *words)
        said(capsys, "restore", *words)
        assert here.ask(lambda docket: docket.strikes()) == []


class TestSnapshot:
    def test_a_limit_shows_the_first_tasks_and_counts_all(self, here: Office, capsys: Any) -> None:
        here.ask(lambda docket: docket.add_many(docket.call("paint")(n) for n in range(5)))
        summary, tasks, counts = said(capsys, "snapshot", "--stats", "--limit", "2").split("\n\n")
        assert summary.endswith("0 workers, 0/5 running")
        assert len(tasks.splitlines()) == 4
        assert tasks.splitlines()[-1] == "... and 3 more"
        assert counts.splitlines()[2].split()[:2] == ["paint", "5"]
        assert "more" not in said(capsys, "snapshot", "--limit", "5")
        assert "--limit takes a whole number from 1" in complaint(capsys, 2, "snapshot", "--limit", "0")


@pytest.mark.parametrize(("ends", "status"), [("completed", 0), ("failed", 3), ("cancelled", 4)])
def test_watch_tells_by_its_exit_status_how_a_task_ended(
    here: Office, ends: str, status: int, capsys: Any
) -> None:
    async def end(docket: Docket) -> None:
        await docket.add("fail" if ends == "failed" else "trace", key="k1")("x")
        if ends == "cancelled":
            await docket.cancel("k1")
        else:
            await Worker(docket).run_until_finished()

    here.ask(end)
    for options, expected in ([], 0), (["--exit-status"], status):
        assert run(docket_app(), ["watch", "k1", *options]) == expected
        assert ends in capsys.readouterr().out


class TestClear:
    def answered(self, url: str, answer: bytes, *options: str) -> tuple[int, str]:
        """Run ``docket clear`` at a terminal; its exit status, and what is on the terminal."""
        ours, theirs = pty.openpty()
        environment = {**os.environ, "DOCKET_URL": url}
        with subprocess.Popen(
            [str(BIN / "docket"), "clear", *options],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            os.write(ours, answer)
            seen = b""
            with suppress(OSError):
                while part := os.read(ours, 4096):
                    seen += part
            status = process.wait(60)
        os.close(ours)
        return status, seen.decode()

    def test_at_a_terminal_it_asks(self, here: Office, redis_url: str) -> None:
        async def waiting(docket: Docket) -> int:
            return len((await docket.snapshot()).future)

        here.ask(lambda docket: docket.add_many(docket.call("paint")(n) for n in range(3)))
        question = "Cancel the 3 tasks that wait on docket 'docket'? [y/N] "
        for refusal in b"\n", b"no\n", b"\x04":
            status, seen = self.answered(redis_url, refusal)
            assert status == 1
            assert question in seen
            assert "docket: nothing was cleared" in seen
        assert here.ask(waiting) == 3
        status, seen = self.answered(redis_url, b"y\n")
        assert (status, question in seen, "Cleared 3 tasks" in seen) == (0, True, True)
        assert here.ask(waiting) == 0

    def test_it_does_not_if_that_is_said(self, here: Office, redis_url: str) -> None:
        here.ask(lambda docket: docket.add("paint")(1))
        status, seen = self.answered(redis_url, b"", "--yes")
        assert (status, "[y/N]" in seen, "Cleared 1 task" in seen) == (0, False, True)


def test_a_user_who_may_not_ask_whether_a_docket_exists_hears_of_none(capsys: Any) -> None:
    with Server() as server, redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "asks", "on", ">secret", "~*", "&*", "+@all", "-exists")
        url = server.url.replace("redis://", "redis://asks:secret@")
        assert (
            said(capsys, "clear", "--docket", "typo", "--url", url) == "Cleared 0 tasks from docket 'typo'\n"
        )
