"""Training end to end: scores, resuming, isolation, what is written and what is read."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError, EmokitError
from emokit.core.files import read_csv
from emokit.corpora.store import AudioStore, open_emoset
from emokit.evaluation.metrics import uar
from emokit.loading.source import make_source
from emokit.models.merging import merge
from emokit.training import checkpoint
from emokit.training.predict import score
from emokit.training.train import device_of, score_cell, train

REGIMES = {
    "joint": dict(adapters="residual"),
    "joint norms": dict(),
    "single": dict(regime="single"),
    "pooled": dict(regime="pooled", target="arousal-valence"),
    "dense private": dict(adapters="residual(rank=full)", head="dense", shared_pooling=False),
    "averaged weights": dict(adapters="residual", average_share=0.5),
    "utterance": dict(regime="single", normalisation="utterance", corpora="emodb"),
    "statistics": dict(regime="single", pooling="statistics", corpora="emodb"),
    "average": dict(regime="single", pooling="average", corpora="emodb", window=None),
}


@pytest.mark.parametrize("name", REGIMES)
def test_train_uar_equals_evaluate_uar(trained, emoset, name):
    group = trained(**REGIMES[name])
    for cell in group.cells():
        metrics = cell.metrics()
        history = {record["epoch"]: record for record in cell.history()}
        for corpus, figures in metrics["dev"].items():
            path = cell.predictions(corpus, "dev")
            first = path.read_bytes()
            path.unlink()
            score_cell(cell, emoset, "dev", "cpu")
            assert path.read_bytes() == first
            table = read_csv(path)
            labels = [name[2:] for name in table if name.startswith("p_")]
            probabilities = table[[f"p_{label}" for label in labels]].astype(float)
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
            assert (probabilities.idxmax(axis=1).str[2:] == table["prediction"]).all()
            again = uar(table["truth"], table["prediction"], labels=labels)
            assert again == figures["uar"]
            assert history[metrics["epoch"]]["corpora"][corpus]["dev_uar"] == figures["uar"]


def test_best_checkpoint_has_best_dev_uar_and_history_is_after_the_epoch(trained):
    cell, = trained(adapters="residual", epochs=4).cells()
    best = max(cell.history(), key=lambda record: (record["dev_uar"], -record["dev_loss"]))
    assert cell.metrics()["epoch"] == best["epoch"]
    assert checkpoint.inspect(cell.folder / "best.safetensors").facts["epoch"] == best["epoch"]
    assert checkpoint.inspect(cell.folder / "last.safetensors").facts["epoch"] == 4
    mean = np.mean([figures["dev_uar"] for figures in best["corpora"].values()])
    assert best["dev_uar"] == mean


def strip(history):
    return [{key: value for key, value in record.items()
             if key not in ("seconds", "utterances_per_second")} for record in history]


@pytest.mark.parametrize("flags", [
    dict(adapters="residual", augment="specaugment+noise"),
    dict(regime="single", corpora="emodb", schedule="plateau", patience=None, optimizer="sgd",
         learning_rate=0.01),
    dict(adapters="residual", average_share=0.5, mixup=0.5),
    dict(regime="pooled", target="arousal", mixed_batches=True, mixup=0.5),
])
def test_a_killed_run_resumes_to_identical_weights_and_history(configure, emoset, tmp_path, flags):
    from emokit.training.loop import _Trainer
    from emokit.training.train import train

    more = ("backbone.dropout=0.2|0.2", "plateau_epochs=1", "plateau_rise=0.2")
    config, explicit = configure(*more, epochs=3, **flags)
    whole, _ = train(config, explicit, emoset, tmp_path / "whole")
    epoch = _Trainer.epoch

    def dies(self, bar):
        if self.state.epoch == 2:
            raise KeyboardInterrupt
        epoch(self, bar)

    _Trainer.epoch = dies
    try:
        with pytest.raises(KeyboardInterrupt):
            train(config, explicit, emoset, tmp_path / "broken")
    finally:
        _Trainer.epoch = epoch
    broken, _ = train(config, explicit, emoset, tmp_path / "broken")
    for one, other in zip(whole.cells(), broken.cells()):
        assert one.name == other.name and other.is_complete
        assert strip(one.history()) == strip(other.history())
        for name in ("best.safetensors", "last.safetensors"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
        assert not (other.folder / "resume.pt").exists()


def test_sigkill_leaves_a_state_that_resumes(emoset, tmp_path, configure, tiny_sets):
    from emokit.training.train import train

    config, explicit = configure(epochs=12, regime="single", corpora="emodb")
    whole, _ = train(config, explicit, emoset, tmp_path / "whole")
    process = subprocess.Popen(
        [sys.executable, "-m", "emokit", "train", "--regime", "single", "--corpora", "emodb",
         "--epochs", "12", "--batch-size", "8", "--device", "cpu", "--emoset", str(emoset),
         "--runs", str(tmp_path / "broken"), *tiny_sets], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "epoch 1/12" in line:
            process.kill()
            break
    process.communicate()
    assert process.returncode == -9
    broken, task = train(config, explicit, emoset, tmp_path / "broken")
    assert broken.name == whole.name
    one, = whole.cells()
    assert (one.folder / "best.safetensors").read_bytes() == (
        task[0].cell.folder / "best.safetensors").read_bytes()
    assert strip(one.history()) == strip(task[0].cell.history())


def test_train_opens_no_test_audio_and_second_epoch_only_the_store(fit, emoset, monkeypatch):
    import soundfile

    opened = []
    read = AudioStore.read

    def watched(self, index, *span):
        opened.append((self.folder.name, index))
        return read(self, index, *span)

    monkeypatch.setattr(AudioStore, "read", watched)
    monkeypatch.setattr(soundfile, "SoundFile", None)
    fit(adapters="residual")
    test = {(corpus.name, int(row)) for corpus in open_emoset(emoset)
            for row in make_source(corpus).rows["test"]}
    assert opened and test and not test & set(opened)


def test_running_again_fits_nothing_and_other_settings_make_another_group(fit):
    group = fit(adapters="residual")
    cell, = group.cells()
    before = (cell.folder / "best.safetensors").stat().st_mtime_ns
    assert fit(adapters="residual").name == group.name
    assert (cell.folder / "best.safetensors").stat().st_mtime_ns == before
    assert fit(adapters="residual", seeds=[0, 1]).name == group.name
    assert len(group.cells()) == 2
    assert fit(adapters="residual(rank=C/8)").name != group.name
    assert fit(adapters="residual", corpora="emodb").name != group.name


def test_cells_by_fold_test_every_utterance_once(trained, emoset):
    group = trained(regime="single", corpora="emodb", folds="all", learning_rate=0.004)
    corpus, = open_emoset(emoset, ["emodb"])
    tested = []
    for fold in range(5):
        cell = group.cell(f"emodb-f{fold}-s0")
        score_cell(cell, emoset, "test", "cpu")
        table = read_csv(cell.predictions("emodb", "test"))
        assert set(table["fold"]) == {str(cell.fold)}
        tested += table["utterance"].tolist()
        source = make_source(corpus, fold=cell.fold)
        speakers = [set(corpus.manifest["speaker"].iloc[source.rows[name]])
                    for name in ("train", "dev", "test")]
        assert not speakers[0] & speakers[1] and not speakers[0] & speakers[2]
        assert not speakers[1] & speakers[2]
    assert sorted(tested) == sorted(corpus.manifest["utterance"])


@pytest.mark.parametrize("mode, adapters", [
    ("finetune", None), ("head", None), ("head", "residual"), ("adapters", "residual"),
    ("adapters", None)])
def test_every_mode_starts_from_a_joint_base(trained, joint, mode, adapters):
    flags = {"adapters": adapters} if adapters else {}
    group = trained(regime="single", mode=mode, init=joint.name, **flags)
    base, _ = checkpoint.load(joint.folder / "joint-s0" / "best.safetensors")
    for cell in group.cells():
        model, found = checkpoint.load(cell.folder / "best.safetensors")
        assert found.facts["mode"] == mode and list(found.labels) == [cell.who]
        # adapters of the base that the model lacks are merged into its backbone
        start = base if model.settings.adapters else merge(base, cell.who)
        same = all(torch.equal(tensor, start.state_dict()[f"backbone.{name}"])
                   for name, tensor in model.backbone.state_dict().items()
                   if not (model.settings.adapters and "norm" in name))
        assert same == (mode != "finetune")
        learnt = [name for name, tensor in model.part(cell.who).state_dict().items()
                  if name not in (before := start.part(cell.who).state_dict())
                  or not torch.equal(tensor, before[name])]
        if mode == "head":
            assert learnt and all(name.startswith("head.") for name in learnt)
        if mode == "adapters":
            assert any("conv" in name for name in learnt)


def test_training_b_leaves_a_bit_identical(trained, joint, emoset):
    path = joint.folder / "joint-s0" / "best.safetensors"
    group = trained(regime="single", mode="adapters", init=joint.name, corpora="ravdess")
    model, found = checkpoint.load(path)
    source = make_source(open_emoset(emoset, ["emodb"])[0])
    before = score(model, source, "dev", 3.0).probabilities
    other, facts = checkpoint.load(group.folder / "ravdess-s0" / "best.safetensors")
    part = checkpoint.save_corpus(group.folder / "part.safetensors", other, "ravdess", facts.facts)
    model.remove_corpus("ravdess")
    assert checkpoint.load_corpus(part, model) == "ravdess"
    after = score(model, source, "dev", 3.0).probabilities
    assert np.array_equal(before, after)
    theirs = make_source(open_emoset(emoset, ["ravdess"])[0])
    assert np.array_equal(*(score(one, theirs, "dev", 3.0).probabilities
                            for one in (model, other)))


def test_a_new_corpus_gets_adapters_on_a_base_without_any(trained, single):
    base = single
    group = trained(regime="single", mode="adapters", adapters="residual", corpora="ravdess",
                    init=f"{base.name}/emodb-s0")
    model, _ = checkpoint.load(group.folder / "ravdess-s0" / "best.safetensors")
    start, _ = checkpoint.load(base.folder / "emodb-s0" / "best.safetensors")
    for name, tensor in start.backbone.state_dict().items():
        if "norm" not in name:
            assert torch.equal(tensor, model.backbone.state_dict()[name])


def test_a_base_that_saw_our_test_is_refused(trained, fit, runs):
    base = trained(regime="single", corpora="emodb", folds="0", learning_rate=0.004)
    with pytest.raises(CheckpointError, match="was trained on .* utterances of .* of 'emodb'"):
        fit(regime="single", corpora="emodb", folds="1", mode="finetune",
            init=str(base.folder / "emodb-f0-s0" / "best.safetensors"))


@pytest.mark.parametrize("flags, message", [
    (dict(mode="head"), "needs --init"),
    (dict(seeds=[0, 0]), "name each seed once"),
    (dict(corpora=["emodb", "emodb"]), "names a corpus twice"),
    (dict(regime="pooled"), "needs one label list"),
    (dict(regime="pooled", target="arousal", adapters="residual"), "nothing private"),
    (dict(backbone="resnt"), "Unknown backbone 'resnt'. Did you mean 'resnet'"),
    (dict(adapters="residul"), "Unknown adapter 'residul'. Did you mean 'residual'"),
    (dict(adapters="residual(rnk=3)"), "unknown setting 'rnk'"),
    (dict(preset="huge"), "Unknown preset 'huge'"),
    (dict(corpora="emdb"), "Corpus 'emdb' is not built"),
    (dict(loss="ordinal"), "needs ordinal_order"),
    (dict(folds="9"), "folds"),
    (dict(folds="two"), "Choices: none, all, auto"),
    (dict(device="cuda:7"), "not usable here"),
    (dict(init="nothing"), "There is no group 'nothing'"),
    (dict(augment="nois"), "Unknown augmentation 'nois'. Did you mean 'noise'"),
])
def test_what_cannot_be_is_refused_in_words(fit, flags, message):
    with pytest.raises(EmokitError, match=message):
        fit(**flags)


def test_config_files_are_checked_with_their_line(tmp_path):
    from emokit.training.settings import resolve

    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nlearning_rte: 0.1\n")
    with pytest.raises(ConfigError, match="mine.yaml:2: unknown setting 'learning_rte'. Did you "
                                          "mean 'learning_rate'"):
        resolve({}, [], path)
    path.write_text("epochs: 3\nlearning_rate: fast\n")
    with pytest.raises(ConfigError, match="mine.yaml:2: 'learning_rate' is 'fast'"):
        resolve({}, [], path)


def test_later_sources_of_settings_win(tmp_path):
    from emokit.training.settings import resolve

    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nbatch_size: 5\nadapters: residual(rank=C/8)\n"
                    "backbone: {width: 8}\n")
    config, explicit = resolve({"epochs": 7}, ["batch_size=6", "adapters.residual.start=he",
                                               "epochs=9"], path)
    assert (config.epochs, config.batch_size) == (7, 6)
    assert config.adapters == [{"name": "residual", "rank": "C/8", "start": "he"}]
    assert config.backbone == {"name": "resnet", "width": 8, "stem_stride": 2}
    assert config.optimizer == "adamw" and "optimizer" not in explicit


def test_a_rebuilt_corpus_is_noticed(configure, tmp_path):
    from emokit.corpora.build import BuildOptions
    from emokit.testing import tiny_emoset
    from emokit.training.train import train

    config, explicit = configure(regime="single", corpora="emodb", epochs=1)
    options = BuildOptions(jobs=1, report=False)
    small = dict(n_speakers=5, per_class=1, classes=("anger", "neutral"))
    emoset = tiny_emoset(tmp_path, ("emodb",), options, **small)
    train(config, explicit, emoset, tmp_path / "runs")
    tiny_emoset(tmp_path, ("emodb",), options, **small, seed=99)
    with pytest.raises(EmokitError, match="trained on another build of 'emodb'"):
        train(config, explicit, emoset, tmp_path / "runs")


def test_scores_do_not_depend_on_who_else_is_scored(joint, emoset):
    import dataclasses

    cell, = joint.cells()
    model, _ = checkpoint.load(cell.folder / "best.safetensors")
    source = make_source(open_emoset(emoset, ["ravdess"])[0])
    together = score(model, source, "dev", 3.0).probabilities
    for index, row in enumerate(source.rows["dev"][:4]):
        alone = dataclasses.replace(source, rows={"dev": np.array([row])})
        np.testing.assert_allclose(score(model, alone, "dev", 3.0).probabilities[0],
                                   together[index], atol=1e-6)


def test_one_corpus_can_be_saved_and_loaded_alone(joint, tmp_path):
    cell, = joint.cells()
    model, found = checkpoint.load(cell.folder / "best.safetensors")
    path = checkpoint.save_corpus(tmp_path / "emodb.safetensors", model, "emodb", found.facts)
    before = model.corpus_state("emodb")
    model.remove_corpus("emodb")
    assert checkpoint.load_corpus(path, model) == "emodb"
    assert all(torch.equal(before[name], tensor)
               for name, tensor in model.corpus_state("emodb").items())
    with torch.no_grad():
        next(model.backbone.parameters()).add_(1)
    with pytest.raises(CheckpointError, match="another backbone"):
        checkpoint.load_corpus(path, model)


def test_broken_checkpoints_are_refused_in_words(joint, tmp_path):
    cell, = joint.cells()
    data = (cell.folder / "best.safetensors").read_bytes()
    broken = tmp_path / "broken.safetensors"
    for content, message in [(data[:len(data) // 2], "truncated"), (data[:5], "truncated"),
                             (b"PK\x03\x04" + data[:500], "truncated or no safetensors"),
                             (b"", "truncated")]:
        broken.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load(broken)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, broken)
    with pytest.raises(CheckpointError, match="not written by emokit"):
        checkpoint.load(broken)
    save_file({"x": torch.zeros(2)}, broken, {"emokit": json.dumps({"schema": 99})})
    with pytest.raises(CheckpointError, match="schema 99"):
        checkpoint.load(broken)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        checkpoint.load(tmp_path / "none.safetensors")


def test_a_checkpoint_weighs_what_its_weights_weigh(joint):
    cell, = joint.cells()
    stored = json.loads((cell.folder / "parameters.json").read_text())["stored"]
    # a float32 number each, plus metadata and normalisation
    assert (cell.folder / "best.safetensors").stat().st_size < 4 * stored + 60_000


def test_device_names_are_checked():
    assert device_of("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="--device potato is not usable here"):
        device_of("potato")


@pytest.mark.parametrize("sets, epochs", [
    (["schedule=plateau", "plateau_epochs=1", "plateau_stages=9", "plateau_rise=0.9"], 4),
    (["schedule=plateau", "plateau_epochs=2", "plateau_stages=2"], 3),
    (["schedule=constant"], 2)])
def test_total_epochs_never_exceed_limit(trained, sets, epochs):
    cell, = trained(*sets, regime="single", corpora="emodb", epochs=epochs).cells()
    records = cell.history()
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    assert len(records) == cell.metrics()["epochs"] <= epochs


def test_plateau_stages_lower_the_rate_and_end_the_run(trained):
    cell, = trained("schedule=plateau", "plateau_epochs=1", "plateau_stages=3", "plateau_rise=0.9",
                    "warmup=0", regime="single", corpora="emodb", epochs=30,
                    learning_rate=0.01).cells()
    rates = [record["learning_rate"] for record in cell.history()]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001])
    assert cell.metrics()["stopped"] == "plateau"


def test_patience_stops_after_so_many_epochs_and_the_best_answers(trained, emoset):
    cell, = trained("patience=2", regime="single", corpora="ravdess", epochs=30,
                    learning_rate=1e-9).cells()
    metrics = cell.metrics()
    assert metrics["stopped"] == "patience" and metrics["epochs"] - metrics["epoch"] == 2
    # even weights that hardly move have norms whose statistics do
    first = cell.predictions("ravdess", "dev").read_bytes()
    score_cell(cell, emoset, "dev", "cpu")
    assert cell.predictions("ravdess", "dev").read_bytes() == first
    best = cell.history()[metrics["epoch"] - 1]
    assert (metrics["dev"]["ravdess"]["uar"], metrics["dev"]["ravdess"]["loss"]) == (
        best["dev_uar"], best["dev_loss"])


def test_a_loss_that_is_no_number_stops_with_what_to_do(fit):
    # the recipe clips gradients, which would save it
    with pytest.raises(EmokitError, match="became nan.*Lower learning_rate, or set clip_norm=1"):
        fit("clip_norm=none", "optimizer=sgd", regime="single", corpora="emodb", epochs=9,
            learning_rate=1e30)


def test_bf16_trains_and_still_scores_in_float32(trained):
    cell, = trained(regime="single", corpora=["emodb"], precision="bf16").cells()
    surroundings = json.loads((cell.folder / "environment.json").read_text())
    assert (surroundings["precision"], surroundings["precision_reason"]) == ("bf16", "as set")
    tensors = checkpoint.read_tensors(cell.folder / "best.safetensors")
    assert {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()} == {
        torch.float32}
    table = read_csv(cell.predictions("emodb", "dev"))
    sums = sum(table[name].astype(float) for name in table if name.startswith("p_"))
    np.testing.assert_allclose(sums, 1, atol=1e-12)


def test_class_missing_in_train_dev_or_test(emoset, tmp_path, configure):
    import shutil

    from emokit.training.train import train

    # a corpus as another build could have left it: train lacks anger, dev lacks sadness
    shutil.copytree(emoset / "emodb", tmp_path / "emoset" / "emodb")
    path = tmp_path / "emoset" / "emodb" / "manifest.csv"
    table = read_csv(path)
    table.loc[(table["partition"] == "train") & (table["emotion"] == "anger"), "partition"] = ""
    table.loc[(table["partition"] == "dev") & (table["emotion"] == "sadness"), "partition"] = ""
    table.to_csv(path, index=False)
    group, tasks = train(*configure(regime="single"), tmp_path / "emoset", tmp_path / "runs")
    predictions = read_csv(tasks[0].cell.predictions("emodb", "dev"))
    assert [name for name in predictions if name.startswith("p_")] == [
        "p_anger", "p_neutral", "p_sadness"]
    assert set(predictions["truth"]) == {"anger", "neutral"}


def test_a_base_of_folds_serves_a_corpus_with_fewer_folds(trained, emoset, tmp_path):
    import dataclasses

    from emokit.training.start import refuse_leaks

    corpus, = open_emoset(emoset, ["emodb"])
    folds = corpus.manifest["fold"].map(lambda fold: str(int(fold) % 3))
    fewer = dataclasses.replace(corpus, manifest=corpus.manifest.assign(fold=folds))
    group = trained(regime="single", corpora="emodb", folds="all", learning_rate=0.004)
    found = checkpoint.inspect(group.folder / "emodb-f4-s0" / "best.safetensors")
    assert refuse_leaks(found, [make_source(fewer, fold=1)]) is None
    with pytest.raises(CheckpointError, match="was trained on"):
        refuse_leaks(found, [make_source(fewer, fold=0)])


def test_a_leak_through_the_base_of_a_base_is_refused(trained, fit):
    first = trained(regime="single", corpora="emodb", folds="0", learning_rate=0.004)
    second = trained(regime="single", corpora="ravdess", mode="finetune",
                     init=str(first.folder / "emodb-f0-s0" / "best.safetensors"))
    with pytest.raises(CheckpointError, match="was trained on .* utterances of .* of 'emodb'"):
        fit(regime="single", corpora="emodb", folds="1", mode="finetune",
            init=str(second.folder / "ravdess-s0" / "best.safetensors"))


def test_settings_of_a_cell_on_a_base_are_those_of_the_base(joint, emoset, runs, tmp_path):
    import shutil

    from emokit.core.files import read_yaml
    from emokit.training.settings import resolve
    from emokit.training.train import train

    shutil.copytree(joint.folder, tmp_path / "runs" / joint.name)
    # the recipe's backbone is wider; naming its kind contradicts nothing
    flags = {"regime": "single", "init": joint.name, "backbone": "resnet", "epochs": 1,
             "corpora": "emodb", "mode": "head", "device": "cpu"}
    group, _ = train(*resolve(flags), emoset, tmp_path / "runs")
    path = group.cell("emodb-s0").folder / "config.yaml"
    assert read_yaml(path)[0]["backbone"]["width"] == group.config()["backbone"]["width"] == 4
    again, tasks = train(*resolve({}, [], path), emoset, tmp_path / "runs")
    assert tasks[0].cell.is_complete
    with pytest.raises(ConfigError, match="'backbone' is .*'width': 9.*but the base .* has .*: 4"):
        train(*resolve(flags, ["backbone.width=9"]), emoset, tmp_path / "runs")


def test_a_base_trained_anew_is_noticed(joint, configure, emoset, tmp_path):
    import shutil

    from emokit.training.train import train

    base = shutil.copytree(joint.folder, tmp_path / "runs" / joint.name) / "joint-s0"
    config = configure(regime="single", corpora="emodb", mode="head", init=joint.name)
    train(*config, emoset, tmp_path / "runs")
    train(*config, emoset, tmp_path / "runs")
    shutil.copy(base / "last.safetensors", base / "best.safetensors")
    model, found = checkpoint.load(base / "best.safetensors")
    checkpoint.save(base / "best.safetensors", model, {**found.facts, "epoch": 99})
    with pytest.raises(EmokitError, match="began from other weights than .*Remove that folder"):
        train(*config, emoset, tmp_path / "runs")


def test_a_cell_that_another_process_fits_is_left_alone(configure, emoset, tmp_path):
    from emokit.training.train import train

    config, explicit = configure(regime="single", corpora="emodb")
    group, tasks = train(config, explicit, emoset, tmp_path / "runs")
    cell = tasks[0].cell
    (cell.folder / "metrics.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in cell.folder.rglob("*")
              if path.name != ".lock"}
    with cell.alone():
        with pytest.raises(EmokitError, match="Another process is fitting '.*emodb-s0'. Wait"):
            train(config, explicit, emoset, tmp_path / "runs")
    assert before == {path: path.stat().st_mtime_ns for path in cell.folder.rglob("*")
                      if path.name != ".lock"}
    train(config, explicit, emoset, tmp_path / "runs")
    assert cell.is_complete


@pytest.mark.parametrize("share, name", [(0.5, "best.safetensors"), (1.5, "resume.pt")])
def test_a_full_disk_is_told_in_words_and_the_run_goes_on(joint, configure, emoset, tmp_path,
                                                          share, name):
    import resource

    from emokit.training.train import train

    config = configure(adapters="residual")
    size = (joint.folder / "joint-s0" / "best.safetensors").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))
    try:
        with pytest.raises(EmokitError, match=f"Cannot write '.*{name}': it grew beyond"):
            train(*config, emoset, tmp_path / "runs")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob("*.partial"))
    _, tasks = train(*config, emoset, tmp_path / "runs")
    cell = tasks[0].cell
    assert cell.state == "complete" and not (cell.folder / "failed.json").exists()
    assert (cell.folder / "best.safetensors").read_bytes() == (
        joint.folder / "joint-s0" / "best.safetensors").read_bytes()


def test_a_cell_that_is_not_complete_is_no_base(joint, tmp_path):
    import shutil

    cell = shutil.copytree(joint.folder, tmp_path / joint.name) / "joint-s0"
    assert checkpoint.find(tmp_path, joint.name) == cell / "best.safetensors"
    (cell / "metrics.json").unlink()
    for name in (joint.name, f"{joint.name}/joint-s0", str(cell)):
        with pytest.raises(CheckpointError, match="is not fitted to the end.*take it as it is"):
            checkpoint.find(tmp_path, name)
    assert checkpoint.find(tmp_path, str(cell / "best.safetensors")).is_file()


def test_a_cell_begun_anew_forgets_what_a_former_model_said(fit):
    flags = dict(regime="single", corpora="emodb")
    cell, = fit(**flags).cells()
    (cell.folder / "metrics.json").unlink()
    (cell.predictions("emodb", "test")).write_text("of a former model")
    fit(**flags)
    assert cell.is_complete and not cell.predictions("emodb", "test").exists()
    assert cell.predictions("emodb", "dev").exists()


def test_tables_keep_the_dialogue_for_clustered_tests(emoset):
    import dataclasses

    from emokit.training.predict import on_own_answers, prediction_table

    corpus, = open_emoset(emoset, ["emodb"])
    words = [f"d{index}" for index in range(len(corpus.manifest))]
    corpus = dataclasses.replace(corpus, manifest=corpus.manifest.assign(dialogue=words))
    source = make_source(corpus)
    rows = source.rows["dev"]
    scores = on_own_answers(source, "dev", np.full((len(rows), 3), 1 / 3))
    table = prediction_table(source, "dev", scores)
    assert table["dialogue"].tolist() == [words[row] for row in rows]


def test_long_recordings_share_no_batch_with_many_short_ones():
    from emokit.corpora.store import RATE
    from emokit.training.predict import batches

    crops = [(0, 0, 600 * RATE), *((index, 0, RATE) for index in range(1, 200))]
    found = list(batches(crops))
    assert sorted(crop for some in found for crop in some) == crops
    assert found[0] == crops[:1]
    assert max(len(some) * some[0][2] for some in found[1:]) <= 400 * RATE


def test_selection_takes_the_higher_uar_then_the_lower_loss_then_the_earlier_epoch(configure):
    from emokit.training.loop import Progress, _Trainer

    trainer = object.__new__(_Trainer)
    trainer.config, trainer.state = configure(epochs=9)[0], Progress()
    trainer._save = lambda name, record: None
    chosen = []
    for uar_, loss in ((0.4, 1.0), (0.4, 1.0), (0.4, 1.2), (0.4, 0.9), (0.5, 2.0), (0.4, 0.1)):
        trainer.state.epoch += 1
        trainer._select({"dev_score": uar_, "dev_loss": loss})
        chosen.append(trainer.state.best_epoch)
    assert chosen == [1, 1, 1, 4, 5, 5]


def test_a_plateau_stage_goes_on_from_the_best_weights_without_momentum(configure, emoset,
                                                                        tmp_path, monkeypatch):
    from emokit.training.loop import _Trainer
    from emokit.training.train import train

    config = configure("schedule=plateau", "plateau_epochs=2", "plateau_rise=0.9", "patience=none",
                       regime="single", corpora="ravdess", epochs=9, learning_rate=1e-9)
    epoch = _Trainer.epoch

    def dies(self, bar):
        if self.state.stage:
            raise KeyboardInterrupt
        epoch(self, bar)

    monkeypatch.setattr(_Trainer, "epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        train(*config, emoset, tmp_path / "runs")
    folder, = (tmp_path / "runs").glob("*/ravdess-s0")
    saved = torch.load(folder / "resume.pt", weights_only=True)
    assert saved["progress"]["best_epoch"] < saved["progress"]["epoch"] == 3
    assert saved["optimizer"]["state"] == {}
    best = checkpoint.read_tensors(folder / "best.safetensors")
    assert all(torch.equal(saved["model"][name], tensor) for name, tensor in best.items())


def test_batches_of_one_step_are_averaged(fit, configure, emoset):
    from emokit.training.start import make_model
    from emokit.training.train import effective, sources_of

    # two batches an epoch, one a corpus: what the first corpus has for itself moves half as far
    sets = ("momentum=0", "weight_decay=0", "clip_norm=none", "schedule=constant", "warmup=0")
    flags = dict(optimizer="sgd", batch_size=32, sampler="round_robin", learning_rate=0.01)
    config = effective(configure(*sets, **flags)[0])
    start, _ = make_model(config.model_settings(),
                          sources_of(config, open_emoset(emoset), None), 0)
    moved = []
    for number in (1, 2):
        cell, = fit(*sets, f"corpora_per_step={number}", **flags).cells()
        last = checkpoint.read_tensors(cell.folder / "last.safetensors")
        before = start.state_dict()
        moved.append({corpus: torch.cat([
            (last[name] - before[name]).flatten() for name in before
            if name.startswith(f"private.corpus_{corpus}.head.")]) for corpus in start.labels})
    assert any(torch.allclose(moved[0][corpus], 2 * moved[1][corpus], rtol=1e-3, atol=1e-9)
               for corpus in moved[0])
    assert all(moved[1][corpus].abs().max() > 1e-6 for corpus in moved[1])


def test_a_group_as_base_gives_the_cell_of_the_same_seed(trained, emoset):
    from emokit.core.files import file_digest

    base = trained(regime="single", corpora="emodb", seeds=[0, 1])
    group = trained(regime="single", corpora="emodb", mode="head", init=base.name, seeds=[0, 1])
    for seed in (0, 1):
        facts = checkpoint.inspect(group.folder / f"emodb-s{seed}" / "best.safetensors").facts
        assert facts["init"] == file_digest(base.folder / f"emodb-s{seed}" / "best.safetensors")


def test_a_model_of_former_label_views_is_not_scored(trained, emoset, tmp_path):
    import shutil

    from emokit.training.run import Cell

    group = trained(regime="pooled", target="arousal-valence")
    cell = Cell(shutil.copytree(group.cell("pooled-s0").folder, tmp_path / "pooled-s0"))
    model, found = checkpoint.load(cell.folder / "best.safetensors")
    checkpoint.save(cell.folder / "best.safetensors", model, {**found.facts, "views": 0})
    with pytest.raises(EmokitError, match="under version 0 of the label views.*Train it again"):
        score_cell(cell, emoset, "test", "cpu")


@pytest.mark.parametrize("setting", ["rates.haed=0.1", "freeze=haed"])
def test_unknown_parts_are_refused_before_anything_is_written(configure, emoset, tmp_path, setting):
    name = setting.partition("=")[0].partition(".")[0]
    with pytest.raises(ConfigError, match=f"'{name}' names the part 'haed'.*Did you mean 'head'"):
        train(*configure(setting), emoset, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_parts_that_a_start_has_not_are_refused_before_anything_is_written(
        configure, emoset, joint, runs):
    before = sorted(runs.glob("*/*"))
    with pytest.raises(ConfigError, match="'rates' names the part 'lora'"):
        train(*configure("rates.lora=0.1", init=joint.name, regime="single", mode="adapters"),
              emoset, runs)
    assert sorted(runs.glob("*/*")) == before


def test_adapters_added_to_a_start_move_as_fast_as_the_head(configure, emoset, joint, runs,
                                                            monkeypatch):
    from emokit.training import loop

    groups, make = [], loop.make_optimizer

    def kept(*args):
        groups.append(make(*args).param_groups)
        return make(*args)

    monkeypatch.setattr(loop, "make_optimizer", kept)
    train(*configure(init=joint.name, regime="single", mode="finetune", corpora="emodb",
                     adapters="residual+conv_lora(rank=3)"), emoset, runs)
    shapes = {factor: {tuple(one.shape) for group in groups[0] if group["factor"] == factor
                       for one in group["params"]} for factor in (0.1, 1.0)}
    assert any(shape[0] == 3 and len(shape) == 4 for shape in shapes[1.0])
    assert len(shapes[0.1]) > 3 and not any(shape[:1] == (3,) and len(shape) == 4
                                            for shape in shapes[0.1])


@pytest.mark.parametrize("adapters, told", [
    ("residual+gate(start=reference)", True), ("residual+gate", False)])
def test_a_head_that_sees_other_numbers_than_it_learnt_on_is_told(
        configure, emoset, joint, runs, caplog, adapters, told):
    with caplog.at_level("WARNING", "emokit"):
        train(*configure(init=joint.name, regime="single", mode="adapters", corpora="emodb",
                         adapters=adapters), emoset, runs)
    assert ("gate does not start as the identity, so emodb does not begin" in caplog.text) is told
