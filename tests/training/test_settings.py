"""Settings from recipe, file, --set and flags; what contradicts itself is refused."""

import pytest

from emokit.core.errors import ConfigError
from emokit.models.settings import complete
from emokit.training.settings import recipe_names, resolve, table


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_a_model(name):
    from emokit.models.model import EmotionModel

    config, explicit = resolve({"preset": name})
    assert config.preset == name and explicit == {"preset": name}
    full = complete(config.model_settings())
    assert EmotionModel(full, {"a": ("x", "y")}).labels == {"a": ("x", "y")}


def test_a_file_of_ones_own_serves_as_preset(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nbackbone: {name: resnet, width: 8}\n")
    config, explicit = resolve({"preset": str(path)})
    assert config.epochs == 3 and config.backbone["width"] == 8 and set(explicit) == {"preset"}


@pytest.mark.parametrize("flags, sets, mode", [
    ({}, [], "scratch"), ({"init": "x"}, [], "finetune"),
    ({"init": "x", "adapters": "residual", "regime": "single"}, [], "adapters"),
    ({"init": "x", "adapters": "residual"}, [], "finetune"),
    ({"init": "x", "regime": "single"}, ["mode=head"], "head")])
def test_mode_follows_from_what_is_named(flags, sets, mode):
    assert resolve(flags, sets)[0].mode == mode


@pytest.mark.parametrize("sets, message", [
    (["epochs=0"], "'epochs' is 0; it must be at least 1"),
    (["epochs=many"], "'epochs' is 'many'; expected a whole number"),
    (["learning_rate=0"], "'learning_rate' is 0.0; it must be more than 0"),
    (["sampler=robin"], "'sampler' is 'robin'. Did you mean 'round_robin'"),
    (["epoch=3"], "unknown setting 'epoch'. Did you mean 'epochs'"),
    (["adapters.lora.rank=8"], "'adapters' has no 'lora'"),
    (["seeds"], "not of the form path.to.key=value"),
    (["seeds=-1"], "whole numbers from 0"),
    (["seeds=1|1"], "name each seed once"),
    (["patience=3", "schedule=plateau"], "'plateau' ends by itself; leave out patience"),
    (["mode=scratch", "init=x"], "leave out --init"),
    (["mode=head", "init=x"], "Use --regime single"),
    (["preset=hug"], "Unknown preset 'hug'. "),
    (["backbone.width=0"], "'width' is 0; it must be at least 1"),
])
def test_what_cannot_be_is_refused_with_its_name(sets, message):
    with pytest.raises(ConfigError, match=message):
        config, _ = resolve({}, sets)
        complete(config.model_settings())


def test_plateau_needs_no_word_about_the_patience_of_a_recipe():
    config, _ = resolve({"schedule": "plateau"})
    assert config.schedule == "plateau" and config.patience is None
    assert resolve({}, ["schedule=plateau"])[0].patience is None


def test_unknown_keys_of_parts_in_files_are_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nbackbone:\n  name: resnet\n  widht: 8\n")
    with pytest.raises(ConfigError, match="mine.yaml:4: .*unknown setting 'widht'. Did you mean "
                                          "'width'"):
        resolve({}, [], path)
    path.write_text("epochs: 3\nadapters:\n  - name: residual\n    rank: many\n")
    with pytest.raises(ConfigError, match="mine.yaml:4: .*'rank' is 'many'"):
        resolve({}, [], path)
    path.write_text("pooling: max\n")
    with pytest.raises(ConfigError, match="mine.yaml:1: Unknown pooling 'max'"):
        resolve({}, [], path)
    path.write_text("epochs: 1\nadapters: residual(rnk=3)\n")
    with pytest.raises(ConfigError, match="mine.yaml:2: .*unknown setting 'rnk'"):
        resolve({}, [], path)
    path.write_text("backbone: {width: 8}\n")
    with pytest.raises(ConfigError, match="^backbone resnet: unknown setting 'widht'"):
        resolve({}, ["backbone.widht=3"], path)
    path.write_text("backbone: {width: 8}\nadapters: residual(rank=C/8)\n")
    assert resolve({}, [], path)[0].backbone["width"] == 8
    path.write_text("- epochs\n")
    with pytest.raises(ConfigError, match="holds no settings"):
        resolve({}, [], path)
    with pytest.raises(ConfigError, match="no.yaml"):
        resolve({}, [], tmp_path / "no.yaml")


def test_settings_are_shown_as_they_are_typed():
    config, _ = resolve({"adapters": "residual(rank=C/8)"}, ["window=none"])
    shown = dict(table(config))
    assert shown["adapters"] == "residual(rank=C/8)" and shown["window"] == "none"
    assert shown["seeds"] == "[0]"


def test_flags_win_over_set_within_parts_too():
    flags = {"backbone": "resnet(width=8)", "adapters": "residual(rank=full)"}
    config, _ = resolve(flags, ["backbone.width=6", "backbone.stem_stride=1",
                                "adapters.residual.rank=C/8", "adapters.residual.start=he"])
    assert config.backbone == {"name": "resnet", "width": 8, "stem_stride": 1}
    assert config.adapters == [{"name": "residual", "rank": "full", "start": "he"}]
    assert flags["adapters"] == "residual(rank=full)"


def test_explicit_holds_of_a_part_only_what_was_typed():
    _, explicit = resolve({"pooling": "average"}, ["backbone.width=8", "epochs=2"])
    assert explicit == {"pooling": {"name": "average"}, "backbone": {"width": 8}, "epochs": 2}
