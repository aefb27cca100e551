"""What children have failed with comes out of the block, whatever happens as it is read."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError

from docket import Docket
from tests.proxy import Proxy
from tests.servers import Server
from tests.task_groups.conftest import working
from tests.task_groups.tasks import Boom, boom

pytestmark = pytest.mark.anyio


async def broken_off() -> None:
    raise ConnectionError("to another server")


async def test_a_connection_that_is_lost_as_a_failure_is_read_is_not_what_the_child_has_failed_with(
    proxy: Proxy, server: Server, anyio_backend: object
) -> None:
    async with Docket("failures", server.url) as docket, Docket("failures", proxy.url) as ours:
        docket.register(boom)
        ours.register(boom)
        async with working(docket):
            group = ours.task_group()
            await group.__aenter__()
            await group.add(boom)()
            proxy.cut_within(b":results::")
            with pytest.raises(ExceptionGroup) as out:
                await group.__aexit__(None, None, None)
        assert proxy.answer_lost.is_set()
        (failure,) = out.value.exceptions
        assert type(failure) is Boom


async def test_a_child_may_fail_with_an_error_of_a_server(docket: Docket) -> None:
    docket.register(broken_off)
    async with working(docket):
        group = docket.task_group()
        await group.__aenter__()
        await group.add(broken_off)()
        with pytest.raises(ExceptionGroup) as out:
            await group.__aexit__(None, None, None)
    (failure,) = out.value.exceptions
    assert type(failure) is ConnectionError
    assert str(failure) == "to another server"
