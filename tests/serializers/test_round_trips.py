"""What comes out of JSON is what went in: equal, and of the same classes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docket.serializers.leaves import LEAVES as SHAPES_OF_LEAVES
from docket.serializers.shapes import Shapes
from tests.serializers.typed import CLASSES, LEAVES, alike, typed

shapes = Shapes()


def through_json(kind: Any, value: Any) -> Any:
    shape = shapes.of(kind)
    return shape.load(json.loads(json.dumps(shape.dump(value), allow_nan=False)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed())
def test_a_value_of_any_supported_type_comes_back_as_it_was(pair: tuple[Any, Any]) -> None:
    kind, value = pair
    assert alike(through_json(kind, value), value)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_every_type_of_the_tables_is_tried(data: st.DataObject) -> None:
    for kind, values in (LEAVES | CLASSES).items():
        value = data.draw(values)
        assert alike(through_json(kind, value), value)


def test_the_tables_have_every_leaf() -> None:
    assert set(SHAPES_OF_LEAVES) <= set(LEAVES)


#: What JSON may be asked to make a value of.
SOUP = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text() | st.sampled_from(["name", "price", "number", "Card", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*LEAVES, *CLASSES]), SOUP)
def test_whatever_is_read_is_a_value_of_the_type_or_is_refused(kind: Any, read: Any) -> None:
    """So nothing else than the annotation says reaches a body: what was read can be written again."""
    shape = shapes.of(kind)
    try:
        value = shape.load(read)
    except TypeError:
        return
    assert alike(through_json(kind, value), value)
