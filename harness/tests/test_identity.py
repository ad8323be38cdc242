from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.identity import canonical_json, digest, subseed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reversed_keys(value):
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(entry) for entry in value] if isinstance(value, list) else value


@given(JSON)
def test_order_of_keys_does_not_matter(value):
    assert digest(reversed_keys(value)) == digest(value)


@given(JSON)
def test_nothing_is_lost(value):
    assert json.loads(canonical_json(value)) == value


@given(JSON, JSON)
def test_different_values_have_different_names(one, other):
    if canonical_json(one) != canonical_json(other):
        assert digest(one) != digest(other)


def test_not_a_number_has_no_name():
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"loss": float("nan")})


@given(st.integers(0, 1000), st.sampled_from(["init", "order", "augment"]))
def test_streams_of_random_numbers_differ(seed, stream):
    assert subseed(seed, stream) != subseed(seed + 1, stream)
    assert subseed(seed, stream) != subseed(seed, "another")
    assert 0 <= subseed(seed, stream) < 2**63
