"""Stage plans: what learns, what stays bit by bit, what each stage begins with, what is refused."""

import json
import logging
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import balanced_accuracy_score

from emokit.core.errors import CheckpointError, ConfigError, CorpusError, EmokitError
from emokit.core.files import file_digest
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
from emokit.experiments.stages import stage_rows, steps_of
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.models.modes import apply_mode
from emokit.models.parts import freeze, learning_parts, part_names, parts_of
from emokit.testing import TINY_TRANSFORMERS, tiny_corpus
from emokit.training import checkpoint
from emokit.training.handover import check_handover
from emokit.training.optim import make_optimizer
from emokit.training.run import find_group
from emokit.training.settings import resolve
from emokit.training.stage_file import read_stages
from emokit.training.stages import lay_out, train_stages
from emokit.training.train import fit_or_check, train

SHARED = """
backbone: {name: resnet, width: 4, blocks: 1, stem_stride: 2}
frontend: {name: logmel, bands: 16}
adapters: residual
target: canonical4
batch_size: 8
epochs: 1
device: cpu
augment: none
stages:
"""
ACTED = "  - {name: acted, corpus: ravdess, train: [backbone, pooling, adapters, head]}\n"
NATURAL = ("  - {name: natural, corpus: emodb, start: acted, train: [adapters, head], "
           "freeze: [norm], epochs: 2, rates: {head: 5e-4, residual: 0.01}}\n")


def plan(folder, *stages, shared=SHARED):
    path = folder / "plan.yaml"
    path.write_text(shared + "".join(stages))
    return path


def weights(one, task=0):
    return checkpoint.read_tensors(one.tasks[task].cell.folder / "best.safetensors")


def part(state, corpus):
    """Give a corpus's own tensors by names without it."""
    prefix = f"private.corpus_{corpus}."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()
            if name.startswith(prefix)}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, emoset):
    """Two stages on a tiny ResNet; (emoset, runs, what was laid out). To be read only."""
    folder = tmp_path_factory.mktemp("stages")
    return emoset, folder / "runs", train_stages(
        read_stages(plan(folder, ACTED, NATURAL)), emoset, folder / "runs")


# what learns and what stays

def test_frozen_parts_are_bit_identical_and_the_others_are_not(fitted):
    acted, natural = map(weights, fitted[2])
    former, later = part(acted, "ravdess"), part(natural, "emodb")
    for name, tensor in former.items():
        if ".own." in name:  # norms
            assert torch.equal(tensor, later[name]), name
    for name in acted:
        if not name.startswith("private."):
            assert torch.equal(acted[name], natural[name]), name
    moved = {name for name, tensor in former.items() if not torch.equal(tensor, later[name])}
    assert any(name.startswith("adapters.residual") for name in moved)
    assert any(name.startswith("head.") for name in moved)


def test_the_source_stays_in_the_model_as_its_stage_left_it(fitted):
    acted, natural = map(weights, fitted[2])
    former, kept = part(acted, "ravdess"), part(natural, "ravdess")
    assert set(former) == set(kept)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in former.items())


def test_each_corpus_is_normalised_by_its_own_train_partition(fitted):
    natural = weights(fitted[2][1])
    assert not torch.equal(part(natural, "emodb")["mean"], part(natural, "ravdess")["mean"])


def test_cells_are_ordinary_runs_that_evaluate_and_predict_know(fitted):
    from emokit.deploy.predict import Predictor
    from emokit.experiments.evaluate import evaluate

    emoset, runs, laid = fitted
    group = find_group(runs, "natural")
    assert group.folder == laid[1].group.folder and laid[1].tasks[0].cell.is_complete
    found = evaluate([group.name], emoset=emoset, runs=runs, reports=runs / "reports")
    assert [row["corpus"] for row in found.summary.rows] == ["emodb"]
    path = laid[1].tasks[0].cell.folder / "best.safetensors"
    hum = np.sin(np.arange(8000) / 20).astype(np.float32)
    answers = [Predictor(path, corpus)(hum)["probabilities"] for corpus in ("emodb", "ravdess")]
    former = Predictor(laid[0].tasks[0].cell.folder / "best.safetensors")(hum)
    assert answers[1] == pytest.approx(former["probabilities"], abs=1e-6)
    assert sum(answers[0].values()) == pytest.approx(1)
    assert set(Predictor(path)(hum)["heads"]) == {"emodb", "ravdess"}


def test_rates_are_those_of_the_narrowest_name():
    model = torch_model("residual")
    apply_mode(model, "joint")
    config, _ = resolve({"learning_rate": 0.01, "adapters": "residual",
                         "rates": {"head": 5e-4, "adapters": 0.002, "residual.up": 0.003}})
    optimizer = make_optimizer(model, config, {"a": 10})
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups
             for parameter in group["params"]}
    expected = {"head": 5e-4, "residual.up": 0.003, "norm": 0.002, "residual.matrix": 0.002,
                "backbone": 0.01}
    parts = parts_of(model)
    seen = set()
    for name, parameter in model.named_parameters():
        if parts[name][0] in expected and id(parameter) in rates:
            seen.add(parts[name][0])
            assert rates[id(parameter)] == pytest.approx(expected[parts[name][0]], rel=1e-12), name
    assert seen == set(expected)


def torch_model(adapters):
    from emokit.models.model import EmotionModel

    config, _ = resolve({"adapters": adapters, "backbone": "resnet(width=8,blocks=1)"})
    torch.manual_seed(0)
    return EmotionModel(config.model_settings(), {"a": ("anger", "neutral")})


def test_every_parameter_has_a_part_and_freezing_all_parts_leaves_none():
    model = torch_model("residual+conv_lora")
    assert set(parts_of(model)) == {name for name, _ in model.named_parameters()}
    assert {"backbone", "head", "pooling", "norm", "adapters", "conv_lora", "conv_lora.a",
            "conv_lora.b", "residual"} <= set(part_names(model))
    apply_mode(model, "joint")
    freeze(model, ["conv_lora.a", "backbone"])
    assert "conv_lora.a" not in learning_parts(model) and "conv_lora.b" in learning_parts(model)
    freeze(model, ["pooling", "adapters", "head"])
    assert learning_parts(model) == []


# from the very weights

def test_a_stage_begins_with_the_hash_that_the_one_before_ended_with(fitted, tmp_path, caplog):
    emoset, runs, laid = fitted
    shutil.copytree(runs, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / laid[1].group.name)
    logging.getLogger("emokit").propagate = True
    with caplog.at_level(logging.INFO, "emokit"):
        train_stages(read_stages(plan(tmp_path, ACTED, NATURAL)), emoset, tmp_path / "runs")
    assert "ravdess-s0 is complete" in caplog.text  # goes on where it stopped
    line, = {line for line in caplog.messages if "begins with the weights of ravdess" in line}
    base = laid[0].tasks[0].cell.folder / "best.safetensors"
    model, _ = checkpoint.load(base)
    model.add_corpus("emodb", model.labels["ravdess"], "ravdess")
    assert check_handover(model, "emodb", base, "ravdess", True) in line
    # and the same weights come out
    again = checkpoint.read_tensors(tmp_path / "runs" / laid[1].group.name / "emodb-s0"
                                    / "best.safetensors")
    assert all(torch.equal(tensor, again[name]) for name, tensor in weights(laid[1]).items())


def test_one_weight_that_differs_is_refused_in_words(fitted):
    base = fitted[2][0].tasks[0].cell.folder / "best.safetensors"
    model, _ = checkpoint.load(base)
    model.add_corpus("emodb", model.labels["ravdess"], "ravdess")
    with torch.no_grad():
        next(model.part("emodb").head.parameters()).view(-1)[0] += 1e-6
    check_handover(model, "emodb", base, "ravdess", False)
    with pytest.raises(CheckpointError, match="'emodb' does not begin with the weights that .*"
                                              "1 of .* tensors are others, own.head"):
        check_handover(model, "emodb", base, "ravdess", True)


def test_a_start_that_was_trained_anew_since_is_refused(fitted, tmp_path):
    emoset, runs, laid = fitted
    shutil.copytree(runs, tmp_path / "runs")
    path = tmp_path / "runs" / laid[0].group.name / "ravdess-s0" / "best.safetensors"
    model, found = checkpoint.load(path)
    with torch.no_grad():
        next(model.backbone.parameters()).add_(1.0)
    checkpoint.save(path, model, found.facts)
    with pytest.raises(EmokitError, match="began from other weights than .* holds now. Remove"):
        train_stages(read_stages(plan(tmp_path, ACTED, NATURAL)), emoset, tmp_path / "runs")


def test_a_fold_begins_with_the_same_fold(emoset, tmp_path):
    shared = SHARED.replace("stages:", "folds: 2\nstages:")
    acted, natural = train_stages(
        read_stages(plan(tmp_path, ACTED, NATURAL, shared=shared)), emoset, tmp_path / "runs")
    assert [task.cell.name for task in natural.tasks] == ["emodb-f2-s0"]
    facts = checkpoint.inspect(natural.tasks[0].cell.folder / "best.safetensors").facts
    assert facts["init"] == file_digest(
        acted.group.folder / "ravdess-f2-s0" / "best.safetensors")


def test_a_new_head_takes_other_classes_and_nothing_else_is_new(emoset, tmp_path):
    shared = SHARED.replace("canonical4", "emotion")
    acted, natural = train_stages(read_stages(plan(
        tmp_path, ACTED, "  - {name: natural, corpus: emodb, start: acted, train: [head], "
        "head: new}\n", shared=shared)), emoset, tmp_path / "runs")
    former, later = part(weights(acted), "ravdess"), part(weights(natural), "emodb")
    assert natural.config.mode == "head" and len(later["head.bias"]) == 3
    assert all(torch.equal(tensor, later[name]) for name, tensor in former.items()
               if name.startswith("adapters."))


# stage by corpus

def test_both_corpora_are_scored_after_each_stage(fitted):
    emoset, _, laid = fitted
    rows = stage_rows(steps_of(laid), emoset, "test")
    assert [(row["stage"], row["corpus"], row["learnt"]) for row in rows] == [
        ("acted", "ravdess", 1), ("acted", "emodb", 0),
        ("natural", "ravdess", 0), ("natural", "emodb", 1)]
    for row, one in zip(rows, (laid[0], laid[0], laid[1], laid[1])):
        own = one.tasks[0].cell.folder / "predictions"
        path, = own.glob(f"{row['corpus']}.test.csv") if row["learnt"] else (
            own / "stages").glob(f"{row['corpus']}.test-*.csv")
        table = pd.read_csv(path)
        assert row["n"] == len(table)
        assert row["uar"] == pytest.approx(
            balanced_accuracy_score(table["truth"], table["prediction"]), abs=1e-12)
    assert rows[2]["forgetting"] == rows[0]["uar"] - rows[2]["uar"]
    assert np.isnan([rows[index]["forgetting"] for index in (0, 1, 3)]).all()


def test_the_source_read_through_the_second_stage_has_its_own_normalisation(fitted):
    emoset, _, laid = fitted
    stage_rows(steps_of(laid), emoset, "dev")
    found, = (laid[1].tasks[0].cell.folder / "predictions" / "stages").glob("ravdess.dev-*.csv")
    from emokit.corpora.store import open_emoset
    from emokit.loading.source import make_source
    from emokit.training.predict import score

    model, facts = checkpoint.load(laid[1].tasks[0].cell.folder / "best.safetensors")
    own, other = model.part("ravdess"), model.part("emodb")
    other.mean.copy_(own.mean), other.std.copy_(own.std)
    corpus, = open_emoset(emoset, ["ravdess"])
    source = make_source(corpus, "canonical4")
    object.__setattr__(source, "head", "emodb")
    expected = score(model, source, "dev", facts.facts["window"], facts.facts["scoring"])
    table = pd.read_csv(found)
    got = table[[f"p_{label}" for label in source.labels]].to_numpy()
    assert np.abs(got - expected.probabilities).max() < 1e-6


def test_dimensions_are_scored_by_ccc(rated, tmp_path):
    shared = SHARED.replace("canonical4", "dimensions").replace("adapters: residual\n", "")
    laid = train_stages(read_stages(plan(
        tmp_path, "  - {name: acted, corpus: rated}\n",
        "  - {name: natural, corpus: mixed, start: acted, train: [backbone, head]}\n",
        shared=shared)), rated, tmp_path / "runs")
    rows = stage_rows(steps_of(laid), rated, "test")
    from emokit.evaluation.metrics import ccc

    table = pd.read_csv(laid[1].tasks[0].cell.predictions("mixed", "test"))
    known = table.dropna(subset=["truth_valence"])
    assert rows[3]["ccc_valence"] == pytest.approx(ccc(known["truth_valence"], known["valence"]))
    assert np.isfinite(rows[2]["forgetting"]) and np.isnan(rows[2]["uar"])


# a speech transformer with the paper's combination

def test_each_freezable_part_stays_bit_identical_on_a_transformer(emoset, tmp_path):
    torch.manual_seed(0)
    backbone = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS["wav2vec2"]))
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps(TINY_TRANSFORMERS["wav2vec2"]))
    save_file(backbone.state_dict(), tmp_path / "hf" / "model.safetensors")
    shared = f"""
backbone: hf:{tmp_path / 'hf'}
adapters: bottleneck(width=4)+lora(rank=2)+weighted_sum+gate
target: canonical4
batch_size: 8
epochs: 2
learning_rate: 0.01
device: cpu
stages:
"""
    acted, natural = train_stages(read_stages(plan(
        tmp_path, "  - {name: acted, corpus: ravdess, train: [adapters, head]}\n",
        "  - {name: natural, corpus: emodb, start: acted, train: [adapters, head], "
        "freeze: [lora.a, bottleneck]}\n", shared=shared)), emoset, tmp_path / "runs")
    assert (acted.config.mode, natural.config.mode) == ("adapters", "adapters")
    one, two = weights(acted), weights(natural)
    former, later = part(one, "ravdess"), part(two, "emodb")
    moved = {name for name, tensor in former.items() if not torch.equal(tensor, later[name])}
    kinds = {(name.split(".")[1], name.rsplit(".", 1)[1]) if name.startswith("adapters.")
             else name.partition(".")[0] for name in moved}
    assert kinds == {("lora", "b"), ("weighted_sum", "weights"), ("gate", "gate"), "head"}
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items()
               if name.startswith("backbone."))


# what cannot be

@pytest.mark.parametrize("stages, words", [
    (["  - {name: one, corpus: emodb, freeze: [lora.a]}\n"],
     r"plan.yaml:\d+: stage 'one': 'freeze' names the part 'lora.a'.*Choices: backbone, .*head"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted, rates: {haed: 0.1}}\n"],
     "'rates' names the part 'haed'.*Did you mean 'head'"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted, train: [adaptors]}\n"],
     "'train' names the part 'adaptors'.*Did you mean 'adapters'"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted, train: [head], freeze: [head]}\n"],
     "nothing is left to learn"),
    ([ACTED, "  - {name: two, corpus: emodb, start: actd}\n"], "Did you mean 'acted'"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted/nemo}\n"], "no corpus 'nemo'"),
    ([ACTED, NATURAL, "  - {name: back, corpus: ravdess, start: natural}\n"],
     "'ravdess' was learnt before stage 'natural' already"),
    ([ACTED, "  - {name: two, corpora: [emodb, ravdess], start: acted}\n"],
     "several corpora cannot start from one of a single corpus"),
    (["  - {name: one, corpora: [emodb, ravdess]}\n",
      "  - {name: two, corpus: nemo, start: one}\n"],
     "Say whose adapters and head are taken over: start: one/emodb"),
    ([ACTED, "  - {name: acted, corpus: emodb}\n"], "two stages are called 'acted'"),
    (["  - {name: one, corpus: emodb, head: new}\n"], "has no start"),
    (["  - {name: one}\n"], "give stage 'one' a 'corpus'"),
    (["  - {name: one, corpus: emodb, seeds: [1]}\n"], "'seeds' belongs to the whole plan"),
    (["  - {name: one, corpus: emodb, epoch: 3}\n"], "Did you mean 'epochs'"),
    (["  - {name: one, corpus: emodb, rates: {head: 0}}\n"], "rates.head is 0.0; it must be above"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted, train: [head, adapters, pooling]}\n"],
     "stage 'two': 'pooling' in 'train' does not learn without the backbone. Name the backbone"),
    (["  - {name: one, corpora: []}\n"], r"plan.yaml:\d+: 'corpora' of stage 'one' is \[\]; exp"),
    (["  - {name: one, corpora: [emodb, 3]}\n"], r"'corpora' of stage 'one' is \['emodb', 3\]"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted, train: [head], adapters: norm}\n"],
     "stage 'two': 'ravdess' is copied from .* but those of 'ravdess' there have no place"),
    ([ACTED, "  - {name: two, corpus: emodb, start: acted, pooling: average}\n"],
     "stage 'two': 'pooling' is {'name': 'average'}, but the base .* has .*attention"),
    (["  - {name: one, corpora: [emodb, ravdess]}\n",
      "  - {name: two, corpora: [emodb, ravdess], start: one, train: [backbone], "
      "adapters: norm}\n"],
     "stage 'two': The base has adapters of corpus 'emodb' that this model has no place for"),
    ([], "holds no stages"),
])
def test_bad_plans_are_refused_with_their_line_and_choices(emoset, tmp_path, stages, words):
    with pytest.raises(EmokitError, match=words):
        lay_out(read_stages(plan(tmp_path, *stages)), emoset, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("flags", [
    {"copy_from": "emodb"}, {"new_head": True}, {"new_head": True, "regime": "joint", "init": "x"}])
def test_what_a_start_gives_needs_a_start_of_one_corpus(flags):
    with pytest.raises(ConfigError, match="needs --init and --regime single"):
        resolve({"regime": "single", **flags})


def test_a_rate_of_one_tensor_can_be_set_on_the_command_line():
    config, _ = resolve({"adapters": "residual"}, ["rates.residual.up=2e-3", "rates.head=0.1"])
    assert config.rates == {"residual.up": 0.002, "head": 0.1}


def test_what_a_flag_says_of_the_backbone_decides_the_mode_too(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("stages:\n  - {name: one, corpus: emodb, train: [backbone, head]}\n")
    tiny = {"name": "hf", "architecture": TINY_TRANSFORMERS["wav2vec2"]}
    modes = [read_stages(path, {"backbone": {**tiny, **more}})[0].config.mode
             for more in ({}, {"path": "owner/encoder"})]
    assert modes == ["scratch", "finetune"]
    with pytest.raises(ConfigError, match="'mode' is what each stage says itself"):
        read_stages(path, {}, ["mode=head"])


def test_the_model_that_is_laid_out_is_the_one_that_is_trained(fitted):
    for one in fitted[2]:
        found, _ = checkpoint.load(one.tasks[0].cell.folder / "best.safetensors")
        assert one.model.settings == found.settings and one.model.labels == found.labels
        shapes = [{name: tensor.shape for name, tensor in model.state_dict().items()}
                  for model in (one.model, found)]
        assert shapes[0] == shapes[1] and next(one.model.parameters()).is_meta


def test_other_label_lists_are_refused_before_anything_is_fitted(emoset, tmp_path):
    shared = SHARED.replace("canonical4", "emotion")
    with pytest.raises(ConfigError, match="'emodb' has the classes anger, neutral, sadness, and "
                                          "'ravdess', which it .*calm.*write 'head: new'"):
        lay_out(read_stages(plan(tmp_path, ACTED, NATURAL, shared=shared)), emoset, tmp_path)


@pytest.fixture
def same_speakers(tmp_path):
    """Give a function that builds the two repetitions of one RAVDESS as corpora, by the numbers of
    their speakers of test and dev."""
    raw = tiny_corpus(tmp_path / "ravdess", "ravdess", 5, 4, classes=["anger", "neutral", "calm"])
    names = sorted(path.name[-2:] for path in raw.glob("Actor_*"))

    def built(**rules):
        text = ""
        for (name, (test, dev)), only in zip(rules.items(), ("01", "02")):
            text += (f"{name}:\n  parser: ravdess\n  root: {raw}\n"
                     f"  only: {{repetition: '{only}'}}\n  partitions: {{rule: speakers, "
                     f"test: ['{names[test]}'], dev: ['{names[dev]}']}}\n")
        (tmp_path / "corpora.yaml").write_text(text)
        folder = tmp_path / f"emoset{len(list(tmp_path.glob('emoset*')))}"
        build_corpora(read_specs(tmp_path / "corpora.yaml"), folder,
                      BuildOptions(jobs=1, report=False))
        return folder

    return built


def test_speakers_of_test_or_dev_in_another_stages_train_are_refused(same_speakers, tmp_path):
    stages = read_stages(plan(
        tmp_path, "  - {name: acted, corpus: first}\n",
        "  - {name: natural, corpus: again, start: acted, train: [adapters, head]}\n",
        shared=SHARED.replace("canonical4", "emotion")))
    lay_out(stages, same_speakers(first=(0, 1), again=(0, 1)), tmp_path / "runs")
    with pytest.raises(CorpusError, match="1 speakers of test of '(first|again)' are in train of "
                                          "'(first|again)': .*session"):
        lay_out(stages, same_speakers(first=(0, 1), again=(2, 1)), tmp_path / "runs")
    with pytest.raises(CorpusError, match="1 speakers of dev of '(first|again)' are in train of"):
        lay_out(stages, same_speakers(first=(0, 1), again=(0, 2)), tmp_path / "runs")


@pytest.mark.parametrize("copied", [True, False])
def test_a_start_outside_plans_may_not_have_heard_the_speakers_either(
        same_speakers, tmp_path, copied):
    apart, mixed = same_speakers(first=(0, 1), again=(0, 1)), same_speakers(
        first=(0, 1), again=(2, 1))

    def fit(corpus, emoset, **more):
        config, explicit = resolve({
            "regime": "single", "corpora": [corpus], "adapters": "residual", "batch_size": 8,
            "epochs": 1, "device": "cpu", "augment": "none", "frontend": "logmel(bands=16)",
            "backbone": "resnet(width=4,blocks=1,stem_stride=2)", **more})
        return train(config, explicit, emoset, tmp_path / "runs")[0].name

    start = fit("first", apart)
    more = {"init": start, "mode": "adapters", **({"copy_from": "first"} if copied else {})}
    fit("again", apart, **more)
    with pytest.raises(CorpusError, match="1 speakers of test of 'again' are in train of 'first'"):
        fit("again", mixed, **more, learning_rate=0.01)


def test_stages_as_a_command(cli, refused, fitted, tmp_path):
    emoset, runs, _ = fitted
    path = plan(tmp_path, ACTED, NATURAL)
    words = ["train", "--stages", path, "--emoset", emoset, "--runs", runs]
    result = cli(*words, "--partition", "test", "--format", "json")
    assert result.exit_code == 0, result.output
    assert [row["stage"] for row in json.loads(result.stdout)] == ["acted"] * 2 + ["natural"] * 2
    assert "complete" in cli(*words, "--dry-run").stdout
    assert "After stage" in cli(*words).stdout
    assert "leave out --config" in refused(*words, "--name", "x", code=2)
    assert "'regime' is what each stage says itself" in refused(*words, "--regime", "single")
    assert "--partition goes with --stages" in refused(
        "train", "--partition", "dev", code=2)


def test_the_single_stage_fits_as_train_does(emoset, tmp_path):
    one, = lay_out(read_stages(plan(tmp_path, ACTED)), emoset, tmp_path / "runs")
    fit_or_check(one.tasks[0], one.config, one.stage.explicit, tmp_path / "runs")
    config, explicit = resolve({
        "regime": "single", "corpora": ["ravdess"], "adapters": "residual", "batch_size": 8,
        "target": "canonical4", "epochs": 1, "device": "cpu", "augment": "none",
        "backbone": "resnet(width=4,blocks=1,stem_stride=2)", "frontend": "logmel(bands=16)"})
    group, _ = train(config, explicit, emoset, tmp_path / "runs")
    plain = checkpoint.read_tensors(group.folder / "ravdess-s0" / "best.safetensors")
    assert all(torch.equal(tensor, plain[name]) for name, tensor in weights(one).items())


def test_one_corpus_of_a_joint_stage_is_taken_over_and_learnt_on(emoset, tmp_path):
    first = ("  - {name: together, corpora: [emodb, ravdess], "
             "train: [backbone, pooling, adapters, head]}\n")
    joint, own = train_stages(read_stages(plan(
        tmp_path, first, "  - {name: own, corpus: emodb, start: together, train: [head]}\n")),
        emoset, tmp_path / "runs")
    assert joint.tasks[0].cell.name == "joint-s0" and own.config.copy_from is None
    former, later = part(weights(joint), "emodb"), part(weights(own), "emodb")
    assert {name.partition(".")[0] for name, tensor in former.items()
            if not torch.equal(tensor, later[name])} == {"head"}
    rows = stage_rows(steps_of([joint, own]), emoset, "dev")
    assert [row["learnt"] for row in rows] == [1, 1, 1, 0]


def test_set_and_flags_go_before_what_a_stage_says(tmp_path):
    from emokit.training.stage_file import read_stages

    plan = tmp_path / "plan.yaml"
    plan.write_text("epochs: 3\nadapters: residual\nstages:\n"
                    "  - {name: one, corpus: emodb, epochs: 1, batch_size: 4}\n")
    first, = read_stages(plan, {}, [])
    assert (first.config.epochs, first.config.batch_size) == (1, 4)
    again, = read_stages(plan, {"batch_size": 16}, ["epochs=7", "adapters.residual.rank=C/8"])
    assert (again.config.epochs, again.config.batch_size) == (7, 16)
    assert again.config.adapters[0]["rank"] == "C/8"
