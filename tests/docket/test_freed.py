"""Functions that a docket was given end when nobody else has them: closures, bound methods, services per tenant."""

from __future__ import annotations

import functools
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from docket import CurrentDocket, Depends, Docket, Worker
from docket.client import PerFunction, check_arguments
from tests.docket.conftest import add
from tests.where import few_pairs

pytestmark = [pytest.mark.anyio, few_pairs]

MANY = 30


class Service:
    """Somebody's object with a task of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def work(self, number: int, secret: str = "") -> str:
        return f"{self.name}{number}"

    def closure(self) -> Callable[..., Any]:
        async def work(number: int) -> str:
            return f"{self.name}{number}"

        return work

    def part(self) -> Callable[..., Any]:
        return functools.wraps(self.work)(functools.partial(self.work))

    def asks(self) -> Callable[..., Any]:
        async def work(
            number: int, docket: Any = CurrentDocket(), name: str = Depends(lambda: self.name)
        ) -> str:
            return f"{name}{number}"

        return work


KINDS: dict[str, Callable[[Service], Callable[..., Any]]] = {
    "a bound method": lambda service: service.work,
    "a closure": Service.closure,
    "a partial": Service.part,
    "a closure that depends on something": Service.asks,
}


def alive(services: list[weakref.ref[Service]]) -> int:
    gc.collect()
    return sum(service() is not None for service in services)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_docket_keeps_the_last_function_of_each_name(docket: Docket, kind: str) -> None:
    services: list[weakref.ref[Service]] = []
    for number in range(MANY):
        service = Service(f"s{number}")
        services.append(weakref.ref(service))
        await docket.add(KINDS[kind](service), key=str(number))(number)
        del service
    assert alive(services) == 1
    docket.tasks.pop("work")
    assert alive(services) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_docket_that_is_gone_keeps_nothing(
    url: str, kind: str, anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    services: list[weakref.ref[Service]] = []

    async def scene() -> None:
        for number in range(3):
            service = Service(f"s{number}")
            services.append(weakref.ref(service))
            async with Docket(f"gone-{number}", url) as docket:
                await docket.add(KINDS[kind](service))(number)
                await Worker(docket).run_until_finished()

    # In a loop of its own: a loop keeps who waited until it is over, up to 30 s later.
    anyio.run(scene, backend=anyio_backend[0], backend_options=anyio_backend[1])
    patience = time.monotonic() + 5
    while alive(services) and time.monotonic() < patience:
        time.sleep(0.01)  # the thread of the leases is not waited for
    assert alive(services) == 0


async def test_what_is_known_of_functions_is_kept_for_as_long_as_they_live() -> None:
    known: PerFunction[str] = PerFunction()
    service, other = Service("one"), Service("other")
    closure = service.closure()
    known[closure], known[add], known[service.work], known[Service.work] = (
        "closure",
        "add",
        "method",
        "function",
    )
    assert [known.get(one) for one in (closure, add, other.work, Service.work)] == [
        "closure", "add", "method", "function",
    ]  # fmt: skip
    assert len(known) == 4
    del closure
    gc.collect()
    assert len(known) == 3
    assert known.get(other.closure()) is None


async def test_what_nobody_can_refer_to_weakly_is_not_remembered() -> None:
    class Slotted:
        __slots__ = ()

        async def __call__(self) -> None: ...

    known: PerFunction[str] = PerFunction()
    slotted = Slotted()
    known[slotted] = "nothing"
    assert (known.get(slotted), len(known)) == (None, 0)
    check_arguments(slotted, "slotted", (), {})
    with pytest.raises(TypeError):
        check_arguments(slotted, "slotted", (1,), {})


async def test_methods_and_their_functions_are_called_with_other_arguments() -> None:
    service = Service("one")
    for _ in range(2):
        check_arguments(service.work, "work", (1,), {})
        check_arguments(Service.work, "work", (service, 1), {})
        with pytest.raises(TypeError):
            check_arguments(service.work, "work", (service, 1, "", ""), {})
