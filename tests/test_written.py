from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdoor.errors import ConfigError
from segdoor.written import Written, in_writing, read_written

KNOWN = ("prune", "band", "hide")
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
# Text may hold one sort of quotes, since the other must enclose it.
VALUES = st.text(st.characters(exclude_characters="'"), min_size=1).filter(
    lambda text: text == text.strip()
)


def read(text: object) -> Written:
    return read_written(text, KNOWN, option="--with")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hide", Written("hide")),
        ("prune:30", Written("prune", "30")),
        ("band:20-30", Written("band", "20-30")),
        ("prune:30,layer=head.3", Written("prune", "30", {"layer": "head.3"})),
        ("prune:channels=3,share=.1", Written("prune", None, {"channels": "3", "share": ".1"})),
        ("hide,target=road", Written("hide", None, {"target": "road"})),
        ('prune:3,layer="a,b=c:d"', Written("prune", "3", {"layer": "a,b=c:d"})),
        ("prune:'x:y'", Written("prune", "x:y")),
        ("unknown:3", Written("unknown", "3")),
        ("my.nets:Net", Written("my.nets:Net")),
        ("nets:Net,depth=3", Written("nets:Net", None, {"depth": "3"})),
        (" prune:30 ", Written("prune", "30")),
        ({"kind": "prune", "channels": 3}, Written("prune", None, {"channels": 3})),
    ],
)
def test_texts_and_mappings_are_read(text: object, expected: Written) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("text", ["prune:", "prune,"])
def test_nothing_behind_the_kind_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(
        ConfigError, match="Write prune:main,setting=value, or prune alone for its defaults"
    ):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["prune:3,", "prune:3,4", "prune,4", "prune:3,a=", "prune:a=1,a=2", "prune:a:b",
     "prune:3,a=b=c", "prune:3,a='b", 'prune:3,a="b"c', "my.nets:Net,3"],
)  # fmt: skip
def test_what_breaks_the_grammar_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        read(text)
    assert "must be written" in str(told.value)
    assert "goes in quotes, or in a mapping" in str(told.value)


@pytest.mark.parametrize("given", [{}, {"channels": 3}, {"kind": 3}, 3, None, ["prune"]])
def test_what_has_no_kind_is_refused(given: object) -> None:
    with pytest.raises(ConfigError):
        read(given)


@given(
    st.one_of(st.none(), VALUES), st.dictionaries(NAMES, VALUES, max_size=3), st.sampled_from(KNOWN)
)
def test_writing_and_reading_are_inverse(
    main: str | None, settings: dict[str, str], kind: str
) -> None:
    assert read(in_writing(kind, main, settings)) == Written(kind, main, settings)
