"""Tables of parts, and every module and table of the package."""

import importlib
import pkgutil

import pytest

import emokit
from emokit.core.errors import ConfigError
from emokit.core.registry import Registry
from emokit.core.seeding import derive, generator


def test_unknown_names_get_the_choices():
    table = Registry("backbone", {"resnet": "os:path"})
    with pytest.raises(ConfigError, match="Unknown backbone 'resnt'. Did you mean 'resnet'"):
        table["resnt"]
    assert list(table) == ["resnet"] and "resnet" in table


def modules():
    return [info.name for info in pkgutil.walk_packages(emokit.__path__, "emokit.")
            if info.name != "emokit.__main__"]


@pytest.mark.parametrize("name", modules())
def test_every_module_imports_and_every_part_of_its_tables_too(name):
    module = importlib.import_module(name)
    for table in list(vars(module).values()):
        if isinstance(table, Registry):
            assert all(table[part] is not None for part in table)


def test_random_streams_depend_on_their_names_alone():
    assert derive(0, "crop", 1) == derive(0, "crop", 1) != derive(0, "crop", 2)
    assert derive(0, "a", "bc") != derive(0, "ab", "c")
    first = generator(3, "x").random(4)
    generator(3, "y").random(100)
    assert (generator(3, "x").random(4) == first).all()
