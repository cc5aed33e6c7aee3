"""What all tests share: a seeded generator, quiet threads, and where the real corpora are."""

import os

import numpy as np
import pytest

# sums depend on the number of threads: one, here and in processes that tests start, so that
# results can be compared bit by bit; tiny models are faster so, too
os.environ["OMP_NUM_THREADS"] = "1"

REAL = {"passed": 0, "skipped": []}


def pytest_addoption(parser):
    """Add --real-required."""
    parser.addoption("--real-required", action="store_true",
                     help="fail if a test on real recordings is skipped, or none ran")


def pytest_runtest_logreport(report):
    """Count the tests on real recordings."""
    if "real" in report.keywords:
        if report.skipped:
            REAL["skipped"].append(report.nodeid)
        elif report.when == "call" and report.passed:
            REAL["passed"] += 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Fail where real recordings are there and their tests did not run."""
    if hasattr(session.config, "workerinput"):
        # one of several processes: the one that collects their reports decides
        return
    if session.config.getoption("--real-required") and (REAL["skipped"] or not REAL["passed"]):
        print(f"\n--real-required: {REAL['passed']} tests on real recordings ran, "
              f"{len(REAL['skipped'])} were skipped: {REAL['skipped'][:3]}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def no_corpora_of_this_machine(request, monkeypatch):
    """Hide what the machine has, except from tests that ask for real recordings."""
    if "real" not in request.keywords:
        for name in ("EMOKIT_CORPORA", "EMOKIT_EMOSET", "EMOKIT_RUNS"):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def rng():
    """One seeded generator per test."""
    return np.random.default_rng(20261121)


@pytest.fixture(scope="session")
def real_corpora():
    """Folder of real recordings; the test is skipped where there is none."""
    root = os.environ.get("EMOKIT_CORPORA")
    if not root:
        pytest.skip("EMOKIT_CORPORA is not set")
    return root


@pytest.fixture(scope="session")
def real_models():
    """Folder of pretrained encoders; the test is skipped where there is none."""
    root = os.environ.get("EMOKIT_MODELS")
    if not root:
        pytest.skip("EMOKIT_MODELS is not set")
    return root


TINY = ("backbone.width=4", "backbone.blocks=1", "backbone.stem_stride=2", "frontend.bands=16")
"""A model that fits in a second."""


@pytest.fixture(scope="session")
def emoset(tmp_path_factory):
    """Two tiny corpora of unequal size, five speakers and five folds each, built in earnest.

    emodb: anger, neutral, sadness, 9 / 3 / 3 utterances in train, dev and test; ravdess: calm
    besides, which canonical views leave out, 24 / 8 / 8.
    """
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import read_specs
    from emokit.testing import tiny_corpus

    folder = tmp_path_factory.mktemp("tiny")
    words = ["anger", "neutral", "sadness"]
    tiny_corpus(folder / "raw" / "emodb", "emodb", 5, 1, classes=words)
    tiny_corpus(folder / "raw" / "ravdess", "ravdess", 5, 2, classes=[*words, "calm"])
    build_corpora(read_specs(None, ("emodb", "ravdess"), folder / "raw"), folder / "emoset",
                  BuildOptions(jobs=1, report=False))
    return folder / "emoset"


@pytest.fixture(scope="session")
def rated(tmp_path_factory, emoset):
    """An emoset of three corpora: `rated` (arousal 1 to 5, valence -1 to 1, some unknown), `mixed`
    (a class that canonical views leave out, no dominance either) and `emodb`, which has none.
    """
    import shutil

    import pandas as pd

    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import read_specs
    from emokit.testing import buzz, write_wav

    folder = tmp_path_factory.mktemp("rated")
    draws = np.random.default_rng(5)
    levels = {"anger": (4.5, -0.8), "neutral": (2.5, 0.0), "sadness": (1.5, -0.5),
              "calm": (1.2, 0.6)}
    for corpus, words in (("rated", list(levels)[:3]), ("mixed", list(levels))):
        rows = []
        for speaker in range(5):
            for word in words:
                for take in range(3):
                    name = f"s{speaker}_{word}_{take}.wav"
                    write_wav(folder / corpus / name,
                              buzz(word, f"s{speaker}",
                                   seed=100 * speaker + take + 1000 * (corpus == "mixed")))
                    arousal, valence = levels[word] + draws.normal(0, 0.15, 2)
                    rows.append({"file": name, "label": word, "speaker": f"s{speaker}",
                                 "arousal": round(float(np.clip(arousal, 1, 5)), 2),
                                 "valence": round(float(np.clip(valence, -1, 1)), 2)})
        # of one take in three nobody rated the valence
        table = pd.DataFrame(rows)
        table.loc[table.index % 3 == 0, "valence"] = np.nan
        table.to_csv(folder / corpus / "list.csv", index=False)
    (folder / "corpora.yaml").write_text("".join(
        f"{corpus}:\n  root: {corpus}\n  format: csv\n  scales: {{arousal: [1, 5], "
        "valence: [-1, 1]}\n" for corpus in ("rated", "mixed")))
    build_corpora(read_specs(folder / "corpora.yaml", ("rated", "mixed")), folder / "emoset",
                  BuildOptions(jobs=1, report=False))
    shutil.copytree(emoset / "emodb", folder / "emoset" / "emodb")
    return folder / "emoset"


@pytest.fixture(scope="session")
def tiny_sets():
    """Give the `--set` words of the tiny model, for a command line."""
    return [word for text in TINY for word in ("--set", text)]


@pytest.fixture(scope="session")
def configure():
    """Give (config, explicit) of a tiny model for `--set` lines and flags by name."""
    from emokit.training.settings import resolve

    def make(*sets, **flags):
        return resolve({"epochs": 1, "batch_size": 8, "device": "cpu", **flags}, [*TINY, *sets])

    return make


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Folder of the groups that `trained` fits; to be read only."""
    return tmp_path_factory.mktemp("session") / "runs"


@pytest.fixture(scope="session")
def trained(emoset, runs, configure):
    """Train into `runs` and give the group; the same settings are fitted once a session."""
    from emokit.training.train import train

    def run(*sets, **flags):
        return train(*configure(*sets, **flags), emoset, runs)[0]

    return run


@pytest.fixture(scope="session")
def joint(trained):
    """A joint group with residual adapters, one cell."""
    return trained(adapters="residual")


@pytest.fixture(scope="session")
def single(trained):
    """A group of single-corpus models, one cell a corpus."""
    return trained(regime="single")


# commands called as people call them

@pytest.fixture
def cli(monkeypatch):
    """Invoke `emokit WORDS…` in this process and give click's result; bugs keep their traceback."""
    from click.testing import CliRunner

    from emokit.cli import group

    for name in ("EMOKIT_CORPORA", "EMOKIT_EMOSET", "EMOKIT_RUNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*words, stdin=None):
        result = CliRunner().invoke(group, [str(word) for word in words], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def refused(cli):
    """Invoke, and give the one line of stderr that says why not; stdout must be empty."""
    def call(*words, code=1, stdin=None):
        result = cli(*words, stdin=stdin)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        lines = result.stderr.strip().splitlines()
        if code == 2:
            assert lines[0].startswith("Usage: ")
            lines = [" ".join(lines[lines.index(next(filter(
                lambda line: line.startswith("Error: "), lines))):])]
        lines = [line for line in lines if line.startswith("Error: ")]
        assert len(lines) == 1, result.stderr
        return lines[0]

    return call
