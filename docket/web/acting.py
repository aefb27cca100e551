"""Forms that are sent: checked, done, logged, answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import attrs

from ..errors import UsageError
from .actions import ACTIONS, Action, again, log, log_refused
from .answers import html, plain
from .frame import plain_page
from .http import BadForm, Form, Receive, Request, Response, TooLarge, address, read_form
from .markup import Safe, el
from .results import Ask, Done, told
from .sampling import Away, in_time
from .visitors import Visitor, refusal_of

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Acting"]

PATIENCE = 20.0
"""How many seconds an action may take: it may be about thousands of failures."""


@attrs.define(eq=False, kw_only=True)
class Acting:
    """What one dashboard does about forms. ``pages`` are the paths that they may come back to."""

    docket: Docket
    enter: Callable[[], Awaitable[None]]
    origins: frozenset[str]
    read_only: bool
    pages: Collection[str]

    async def answer(self, request: Request, visitor: Visitor, receive: Receive) -> Response:
        """Do what a form says, if it may be done, and lead back to the page that it came from."""
        action = ACTIONS.get(request.page)
        if action is None:
            return plain(404, "Not here", f"Nothing can be done at {request.page!r}.")
        if (why := refusal_of(request, self.origins)) is not None:
            return plain(403, "This form was refused", f"Nothing was changed: {why}.")
        if self.read_only or not visitor.may_act:
            return plain(403, "Read-only", "Nothing was changed: you may look, and not act.")
        try:
            form = await read_form(request, receive)
        except TooLarge:
            return plain(413, "Too much at once", "Nothing was changed: the form is larger than 64 KiB.")
        except BadForm:
            return plain(415, "No form", "Nothing was changed: a body is application/x-www-form-urlencoded.")
        return await self._do(action, request.page, form, visitor)

    async def _do(self, action: Action, name: str, form: Form, visitor: Visitor) -> Response:
        back = self._back_to(form)

        async def act() -> Done | Ask:
            await self.enter()
            return await action(self.docket, form, visitor)

        try:
            done = await in_time(act, PATIENCE)
        except Away as problem:
            did_nothing = problem.did_nothing and not _has_steps(name, form)
            log_refused(visitor.name, name, form, self.docket.name, did_nothing=did_nothing)
            known = "Nothing was changed" if did_nothing else "It is not known whether anything was changed"
            return plain(503, problem.title, f"{known}: {problem}.", home=back)
        except (UsageError, TypeError) as error:
            return plain(400, "That cannot be done", f"Nothing was changed: {error}.", home=back)
        if isinstance(done, Ask):
            if done.so_far is not None:
                log(visitor.name, name, done.so_far, self.docket.name)
            return html(_question(done, name, form, back))
        log(visitor.name, name, done, self.docket.name)
        path, _, query = back.partition("?")
        there = address(path, **{**dict(parse_qsl(query)), **told(done)})
        return Response(status=303, headers=[(b"location", there.encode())])

    def _back_to(self, form: Form) -> str:
        """The page that a form came from, if it is one of this dashboard; else the overview."""
        path, _, query = (form.get("back") or [""])[-1].removeprefix("./").partition("?")
        if path not in self.pages:
            return "./"
        return address(path, **dict(parse_qsl(query, keep_blank_values=True, errors="replace")))


def _has_steps(action: str, form: Form) -> bool:
    """Whether an action is several calls: some may have done what they should before one is refused."""
    is_about_many = len(form.get("only") or form.get("key") or ()) > 1
    return is_about_many or action in {"discard-all", "resume", "retry-all"}


def _question(ask: Ask, action: str, form: Form, back: str) -> Safe:
    sure = el(
        "form",
        *again(form, ask.fields),
        el("button", ask.yes, type="submit", name="sure", value="1", class_="danger"),
        el("a", "Back", href=back, class_="button"),
        method="post",
        action=action,
        class_="sure",
    )
    return plain_page(ask.question, el("p", ask.detail), sure, home=None)
