"""Settings: read, refused, merged, signed."""

import dataclasses

import pytest

from emokit.core.config import (assign, format_spec, from_mapping, knob, merge, parse_spec,
                                signature, to_mapping)
from emokit.core.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = knob(8, "Width.", minimum=1)


@dataclasses.dataclass(frozen=True)
class Config:
    rank: int = knob(4, "Rank.", minimum=1, maximum=64)
    share: float | None = knob(None, "Share.", above=0.0, below=1.0)
    kind: str = knob("a", "Kind.", choices=("a", "b"))
    names: list[str] = knob([], "Names.")
    on: bool = knob(False, "Switch.")
    inner: Inner = knob(Inner(), "Inner.")
    workers: int = knob(0, "Workers.", cosmetic=True)


def test_values_arrive_and_return():
    config = from_mapping(Config, {"rank": 2, "share": 0.5, "names": ["x"], "inner": {"width": 3}})
    assert config.inner.width == 3
    assert from_mapping(Config, to_mapping(config)) == config


@pytest.mark.parametrize("mapping, message", [
    ({"rnk": 2}, "unknown setting 'rnk'. Did you mean 'rank'?"),
    ({"rank": "two"}, "'rank' is 'two'; expected a whole number."),
    ({"rank": True}, "'rank' is True; expected a whole number."),
    ({"rank": 2.5}, "'rank' is 2.5; expected a whole number."),
    ({"rank": 0}, "'rank' is 0; it must be at least 1."),
    ({"rank": 65}, "'rank' is 65; it must be at most 64."),
    ({"share": 1}, "'share' is 1.0; it must be less than 1.0."),
    ({"share": 0}, "'share' is 0.0; it must be more than 0.0."),
    ({"share": float("nan")}, "expected a finite number"),
    ({"kind": "c"}, "'kind' is 'c'. Choices: a, b."),
    ({"names": "x"}, "'names' is 'x'; expected a list of words."),
    ({"names": ["x", 3]}, "'names'[1] is 3; expected text."),
    ({"on": "no"}, "'on' is 'no'; expected true or false."),
    ({"inner": {"wide": 1}}, "unknown setting 'wide'"),
    ({"rank": None}, "'rank' is empty; expected a whole number."),
])
def test_what_does_not_fit_is_refused_in_words(mapping, message):
    with pytest.raises(ConfigError) as caught:
        from_mapping(Config, mapping, "here.yaml:3")
    assert message in str(caught.value)
    assert "here.yaml:3" in str(caught.value) or "inner" in str(caught.value)


def test_signature_ignores_order_and_cosmetic_fields_only():
    assert signature(Config(workers=3)) == signature(Config())
    assert signature({"a": 1, "b": 2}) == signature({"b": 2, "a": 1})
    for field, value in (("rank", 5), ("share", 0.1), ("kind", "b"), ("names", ["x"]),
                         ("on", True), ("inner", Inner(9))):
        assert signature(dataclasses.replace(Config(), **{field: value})) != signature(Config())


def test_set_reaches_into_lists_by_name_and_into_bare_names():
    settings = {"adapters": [{"name": "lora"}, {"name": "gate"}], "backbone": "resnet"}
    assign(settings, "adapters.lora.rank=8")
    assign(settings, "backbone.width=16")
    assign(settings, "window=none")
    assert settings == {"adapters": [{"name": "lora", "rank": 8}, {"name": "gate"}],
                        "backbone": {"name": "resnet", "width": 16}, "window": None}


@pytest.mark.parametrize("assignment, message", [
    ("rank", "not of the form"), ("=3", "not of the form"),
    ("adapters.lorra.rank=8", "Did you mean 'lora'?"), ("rank.deep=1", "no settings below it"),
])
def test_set_that_leads_nowhere_is_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        assign({"adapters": [{"name": "lora"}], "rank": 3}, assignment)


@pytest.mark.parametrize("text, items", [
    ("residual", [{"name": "residual"}]),
    ("residual(rank=C/4,start=he)", [{"name": "residual", "rank": "C/4", "start": "he"}]),
    ("a(x=1.5)+b(y=true)+c", [{"name": "a", "x": 1.5}, {"name": "b", "y": True}, {"name": "c"}]),
    ("lora(where=query|value)", [{"name": "lora", "where": ["query", "value"]}]),
])
def test_compositions_read_and_write(text, items):
    assert parse_spec(text) == items
    assert format_spec(items) == text


def test_a_name_with_a_colon_names_a_path():
    assert parse_spec("byols:/models/byol-s.pth(size=8)") == [
        {"name": "byols", "path": "/models/byol-s.pth", "size": 8}]


@pytest.mark.parametrize("text", ["+a", "a+", "a++b", "a(x)", "a+a", "a(x=1", "a b"])
def test_broken_compositions_are_refused(text):
    with pytest.raises(ConfigError):
        parse_spec(text)


def test_another_name_replaces_a_part_whole():
    base = {"backbone": {"name": "resnet", "width": 16}, "epochs": 3}
    assert merge(base, {"backbone": {"name": "resnet", "blocks": 4}})["backbone"] == {
        "name": "resnet", "width": 16, "blocks": 4}
    assert merge(base, {"backbone": {"name": "other"}})["backbone"] == {"name": "other"}
