"""The marks on the parameters of a function: what ``Annotated`` carries, in whatever way the annotation is written."""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, ForwardRef, Optional, Union, cast, get_args, get_origin

import attrs
from uncalled_for import Dependency

from ..text import error_text
from ..values import define, frozen
from .per_function import PerFunction
from .signatures import Evaluator, get_signature

__all__ = ["Marks", "forget_marks", "get_marks"]


@frozen
class Marks:
    """What the annotation of one parameter carries."""

    found: tuple[Any, ...] = ()
    unreadable: str | None = None
    """Why it may carry more, which cannot be known: a part that names ``Annotated`` or a dependency has no value."""


_known: PerFunction[Mapping[str, Marks]] = PerFunction()


def get_marks(function: Callable[..., Any]) -> Mapping[str, Marks]:
    """The marks on the parameters of a function, of those that have some; read once.

    Each annotation is evaluated by itself. A type that exists for the type checker alone hides nothing: neither the
    marks beside it, nor those of other parameters.
    """
    found = _known.get(function)
    if found is None:
        found = _known[function] = _read(function)
    return found


def forget_marks(function: Callable[..., Any]) -> None:
    """Read the marks of a function again when they are asked for next: its annotations may have been replaced."""
    _known.discard(function)


def _read(function: Callable[..., Any]) -> Mapping[str, Marks]:
    found: dict[str, Marks] = {}
    evaluator: Evaluator | None = None
    own: Mapping[str, Any] | None = None
    for name, parameter in get_signature(function).parameters.items():
        annotation = parameter.annotation
        if annotation is parameter.empty:
            # A ``__signature__`` made by hand may say less than the annotations.
            own = _own_annotations(function) if own is None else own
            annotation = own.get(name)
        if annotation is None or (type(annotation) is type and not isinstance(annotation, str)):
            continue  # int, str, or another class: the most frequent ones
        evaluator = evaluator or Evaluator(function)
        reader = _Reader(evaluator)
        marks = tuple(reader.of(annotation))
        if marks or reader.unreadable is not None:
            found[name] = Marks(marks, reader.unreadable)
    return found


def _own_annotations(function: Any) -> Mapping[str, Any]:
    try:
        annotations = getattr(function, "__annotations__", None)
    except Exception:  # noqa: BLE001 - evaluates the author's text, on Python 3.14
        return {}
    return cast("Mapping[str, Any]", annotations) if isinstance(annotations, Mapping) else {}


@define(eq=False)
class _Reader:
    """Reads one annotation."""

    evaluator: Evaluator
    unreadable: str | None = None
    _seen: set[object] = attrs.field(init=False, factory=set[object])
    """The aliases and texts on the way: one may lead to itself."""

    def of(self, annotation: Any) -> Iterator[Any]:
        """The marks of an annotation: in the order of ``Annotated``, through aliases, unions and quotes."""
        if isinstance(annotation, str):
            yield from self._of_text(annotation)
        elif isinstance(annotation, ForwardRef):
            yield from self._of_text(annotation.__forward_arg__)
        elif isinstance(annotation, typing.NewType):
            yield from self.of(annotation.__supertype__)
        elif _is_alias(annotation):
            yield from self._of_alias(annotation)
        elif (origin := get_origin(annotation)) is Annotated:
            base, *marks = get_args(annotation)
            yield from self.of(base)
            yield from marks
        elif origin is Union or origin is UnionType:
            for part in get_args(annotation):
                yield from self.of(part)
        elif _is_alias(origin):
            yield from self._of_alias(origin)

    def _of_alias(self, alias: Any) -> Iterator[Any]:
        if id(alias) in self._seen:
            return
        self._seen.add(id(alias))
        try:
            value = alias.__value__
        except Exception:  # noqa: BLE001 - evaluates the author's text
            around, self.evaluator = self.evaluator, Evaluator(alias)
            yield from self._of_text(_text_of_alias(alias))
            self.evaluator = around
        else:
            yield from self.of(value)

    def _of_text(self, text: str) -> Iterator[Any]:
        if text in self._seen:
            return
        self._seen.add(text)
        try:
            value = self.evaluator.value(text)
        except Exception as error:  # noqa: BLE001 - evaluates the author's text: names may only exist for the checker
            try:
                node = ast.parse(text.lstrip(" \t"), mode="eval").body
            except SyntaxError:
                if any(name in text for name in _names_of_marks()):
                    self._cannot_know(text, error)
                return
            yield from self._of_node(node, error)
        else:
            yield from self.of(value)

    def _of_node(self, node: ast.expr, error: Exception) -> Iterator[Any]:
        """The marks of an expression that has no value as a whole."""
        match node:
            case ast.Constant(value=str() as text):
                yield from self._of_text(text)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                yield from self._of_part(left)
                yield from self._of_part(right)
            case ast.Subscript(value=head, slice=inside):
                yield from self._of_subscript(node, head, inside, error)
            case ast.Name() | ast.Attribute() | ast.Constant():
                return  # a type for the checker only
            case _:
                if _mentions_a_mark(node):
                    self._cannot_know(ast.unparse(node), error)

    def _of_subscript(
        self, node: ast.expr, head: ast.expr, inside: ast.expr, error: Exception
    ) -> Iterator[Any]:
        parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        what = self.evaluator.value_or(head, _ABSENT)
        name = _last_name(head) if what is _ABSENT else None
        if what is Annotated or name == "Annotated":
            base, *marks = parts
            yield from self._of_part(base)
            for mark in marks:
                try:
                    yield self.evaluator.value(mark)
                except Exception as why:  # noqa: BLE001 - evaluates the author's text
                    self._cannot_know(ast.unparse(node), why)
        elif what is Union or what is Optional or name in ("Union", "Optional"):
            for part in parts:
                yield from self._of_part(part)
        elif what is not _ABSENT:
            yield from self.of(what)
        elif _mentions_a_mark(inside):
            self._cannot_know(ast.unparse(node), error)

    def _of_part(self, node: ast.expr) -> Iterator[Any]:
        try:
            value = self.evaluator.value(node)
        except Exception as error:  # noqa: BLE001 - evaluates the author's text
            yield from self._of_node(node, error)
        else:
            yield from self.of(value)

    def _cannot_know(self, text: str, error: Exception) -> None:
        if self.unreadable is None:
            self.unreadable = f"{text} ({error_text(error)})"


_ABSENT = object()


def _is_alias(annotation: object) -> bool:
    """Whether this is a ``type`` alias; typing_extensions has a class of its own for older Pythons."""
    return type(annotation).__name__ == "TypeAliasType"


def _text_of_alias(alias: Any) -> str:
    """What a ``type`` alias stands for, as it is written; "" where that is not known."""
    if evaluate := getattr(alias, "evaluate_value", None):  # Python 3.14
        import annotationlib  # pyright: ignore[reportMissingImports]

        library = cast("Any", annotationlib)
        return str(library.call_evaluate_function(evaluate, library.Format.STRING))
    try:
        source = inspect.getsource(sys.modules[alias.__module__])
    except (KeyError, OSError, TypeError):
        return ""
    for statement in ast.walk(ast.parse(source)):
        if type(statement).__name__ == "TypeAlias":
            node = cast("Any", statement)
            if node.name.id == alias.__name__:
                return ast.unparse(node.value)
    return ""


def _last_name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def _mentions_a_mark(node: ast.expr) -> bool:
    names = _names_of_marks()
    return any(_last_name(part) in names for part in ast.walk(node) if isinstance(part, ast.expr))


def _names_of_marks() -> set[str]:
    """``Annotated``, and the names of all dependencies that there are."""
    names = {"Annotated", "Depends", "Shared", "CallArgument", "TaskArgument"}
    left: list[type[Any]] = [Dependency]
    while left:
        kind = left.pop()
        names.add(kind.__name__)
        left += kind.__subclasses__()
    return names
