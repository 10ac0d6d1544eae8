"""Documents made of every BSON type, for Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import strategies as st

# Surrogates have no UTF-8 form and NUL ends a field's name; values may hold NUL.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = st.integers(-(2**63), 2**63 - 1)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    TEXT,
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-5, 5).map(Int64),  # an int64 that would fit an int32
    INT64.map(Int64),
    st.floats(width=64),
    st.binary(max_size=12),
    st.builds(Binary, st.binary(max_size=16), st.sampled_from([3, 4, 5, 6, 9, 128])),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-62135596800000, 253402300799999).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    INT64.map(DatetimeMS),
    st.binary(min_size=16, max_size=16).map(Decimal128.from_bid),
    st.builds(Regex, NAME, st.sampled_from(["", "i", "imsx"])),
    st.builds(Code, TEXT),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.just(MinKey()),
    st.just(MaxKey()),
    st.fixed_dictionaries({"$ref": TEXT, "$id": st.integers(0, 9)}, optional={"$db": TEXT, "x": TEXT}),
    st.fixed_dictionaries({"$id": st.integers(0, 9), "$ref": TEXT}),
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4),
    max_leaves=10,
)

DOCUMENTS = st.builds(
    lambda key, rest: {"_id": key} | rest, SCALARS, st.dictionaries(NAME, VALUES, max_size=5)
)

NEWEST = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
