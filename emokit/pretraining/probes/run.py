"""The table of probes, what clusters share with labels, and the picture of their use."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.config import signature, to_mapping
from emokit.core.errors import ConfigError
from emokit.core.files import write_csv, write_json
from emokit.core.seeding import generator
from emokit.corpora.store import open_emoset
from emokit.pretraining.local_attributes.config import LocalAttributesConfig
from emokit.pretraining.local_attributes.run import frames_of, make_encoder, sources_of
from emokit.pretraining.probes.config import ProbeConfig
from emokit.pretraining.probes.linear import probe, questions, without_speakers

log = logging.getLogger("emokit")

PARTITIONS = ("train", "dev")
PROBES, SHARED, PICTURE, FACTS = "probes.csv", "shared.csv", "usage.png", "probe.json"
RAW = "k-means"


@dataclasses.dataclass(frozen=True)
class Probed:
    """What a table of probes says.

    Args:
        folder: with `probes.csv`, `shared.csv`, `usage.png` and `probe.json`.
        rows: of each representation and question: uar, chance, n, classes, division.
        shared: of each clustering: mutual information with labels, 0 to 1, over dev frames.
        verdict: a sentence on emotion against speaker.
    """

    folder: Path
    rows: list[dict[str, Any]]
    shared: list[dict[str, Any]]
    verdict: str


def run_probes(config: ProbeConfig, emoset: str | Path, reports: str | Path) -> Probed:
    """Probe an encoder's states, and what was learnt on them; dev is asked, test never opened.

    Raises:
        ConfigError: no speech transformer, or more clusters than frames.
        CheckpointError: `start` was learnt on another encoder, or on what dev holds.
    """
    from emokit.pretraining.probes.picture import draw_usage
    from emokit.pretraining.probes.vectors import Vectors, utterance_table

    settings = LocalAttributesConfig(backbone=config.backbone, states="weighted_sum",
                                     window=config.window, device=config.device)
    model = make_encoder(settings)
    sources = sources_of(open_emoset(emoset, config.corpora), None)
    started = _load(config, model, sources)
    sets = [frames_of(model, sources, partition, settings) for partition in PARTITIONS]
    if sets[0].n_frames < config.clusters:
        raise ConfigError(f"--clusters is {config.clusters}, but train has {sets[0].n_frames} "
                          "frames. Name fewer.")
    table, owners = utterance_table(sources, sets, PARTITIONS)
    vectors = Vectors(sets, owners, len(table), model.backbone.dim)
    found = dict(_states(vectors, model.backbone))
    clusters = dict(_clusters(vectors, model.backbone, config, started, found))
    asked = questions(table, config.seed)
    rows = [{"what": what, **probe(values, question, config.penalty)}
            for what, values in found.items() for question in asked]
    rows += [{"what": f"{what}, speaker means off", **probe(
        without_speakers(vectors.histograms(ids, k), table["speaker"].to_numpy()), question,
        config.penalty)} for what, (ids, k) in clusters.items() for question in asked
        if question.name == "emotion"]
    shared = [{"what": what, **_information(ids[1], vectors.owner_of_frames(1), table)}
              for what, (ids, k) in clusters.items()]
    folder = Path(reports) / f"probe-{signature(config)}"
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / PROBES, _as_table(rows))
    write_csv(folder / SHARED, _as_table(shared))
    ids, k = next(iter(clusters.values()))
    draw_usage(folder / PICTURE, ids[1], k, table, vectors.owner_of_frames(1),
               next(iter(clusters)))
    verdict = in_words(rows, list(clusters))
    write_json(folder / FACTS, {"settings": to_mapping(config), "verdict": verdict,
                                "manifests": {source.name: source.corpus.signature
                                              for source in sources}})
    return Probed(folder, rows, shared, verdict)


def _as_table(rows: Sequence[Mapping[str, Any]]):
    import pandas as pd

    return pd.DataFrame(rows)


def _load(config: ProbeConfig, model, sources):
    """Load what was learnt, refusing what has heard the dev that is asked."""
    if config.start is None:
        return None
    from emokit.pretraining.probes.vectors import load_start
    from emokit.training.adapter_start import find_pretrained
    from emokit.training.start import refuse_leak

    path = find_pretrained(config.start, config.seed)
    found = load_start(path, model, config.branch)
    for source in sources:
        if source.name in found[2]["facts"]["manifests"]:
            refuse_leak(path, found[2]["facts"], source)
    return found


def _states(vectors, backbone):
    """Give (name, means [N, D]) of every state; the last one carries no number."""
    for number in range(backbone.n_states):
        last = number == backbone.n_states - 1
        frames = vectors.frames(lambda states, real, number=number: states[:, number],
                                vectors.width)
        yield f"state {number}{' (last)' if last else ''}", vectors.means(frames)


def _clusters(vectors, backbone, config: ProbeConfig, started, found: dict[str, np.ndarray]):
    """Give (name, (clusters of each frame of each set, K)); histograms go to `found`.

    The attributes first, if there are any; then k-means and random frames of the last state, as
    many of each.
    """
    from emokit.pretraining.local_attributes.prototypes import FIT_FRAMES
    from emokit.pretraining.probes.vectors import kmeans, nearest, random_clusters

    last = vectors.frames(lambda states, real: states[:, -1], vectors.width)
    named = []
    if started is not None:
        adapter, clusterings, meta = started
        made = vectors.frames(
            lambda states, real: adapter(states, None, real[:, :, None]), meta["settings"]["width"])
        found["WAP-Transformer"] = vectors.means(made)
        space = last if meta["clustering"] == "frozen" else made
        named += [(f"{len(one)} attributes", space, one) for one in clusterings]
    sizes = {len(one) for _, _, one in named} or {config.clusters}
    sample = vectors.sets[0].sample(FIT_FRAMES, config.seed, "clusters")
    for k in sorted(sizes):
        named += [(f"{k} clusters of {RAW}", last, kmeans(last[0], sample, k, config.seed)),
                  (f"{k} random clusters", last, random_clusters(
                      last[0], k, generator(config.seed, "probe", "random", k)))]
    for name, frames, prototypes in named:
        ids = nearest(frames, prototypes)
        found[f"{name}, histogram"] = vectors.histograms(ids, len(prototypes))
        yield name, (ids, len(prototypes))


def _information(ids: np.ndarray, owner: np.ndarray, table) -> dict[str, float]:
    """Give the normalised mutual information of clusters and labels over frames.

    That of emotion within each corpus, then the mean over corpora; NaN where there is one word.
    """
    from sklearn.metrics import normalized_mutual_info_score

    found: dict[str, float] = {}
    for name in ("emotion", "speaker", "corpus", "gender"):
        words = table[name].to_numpy(dtype=object)[owner].astype(str)
        groups = table["corpus"].to_numpy(dtype=object)[owner] if name == "emotion" \
            else np.zeros(len(owner))
        values = []
        for group in dict.fromkeys(groups):
            mine = (groups == group) & (words != "")
            several = len(set(words[mine])) > 1
            values.append(normalized_mutual_info_score(words[mine], ids[mine])
                          if several else np.nan)
        found[name] = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
    return found


def above_chance(row: Mapping[str, Any]) -> float:
    """Give (uar - chance) / (1 - chance): 0 by chance, 1 if all is right."""
    return (row["uar"] - row["chance"]) / (1 - row["chance"])


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give a row for each representation: UAR of each question, over corpora the mean."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        found.setdefault(row["what"], {}).setdefault(row["question"], []).append(row["uar"])
    return [{"what": what, **{name: float(np.mean(values)) for name, values in said.items()}}
            for what, said in found.items()]


def in_words(rows: Sequence[Mapping[str, Any]], clusterings: Sequence[str]) -> str:
    """Say whether clusters tell voices rather than emotions.

    Args:
        clusterings: names; the first is judged.
    """
    own = [row for row in rows if row["what"] == f"{clusterings[0]}, histogram"]
    emotion, speaker = ([above_chance(row) for row in own if row["question"] == name]
                        for name in ("emotion", "speaker"))
    if not emotion or not speaker:
        return "There is too little to compare emotion with speaker."
    text = (f"Histograms of {clusterings[0]} tell emotion {np.mean(emotion):.0%} and speaker "
            f"{np.mean(speaker):.0%} of the way from chance to certainty")
    if np.mean(speaker) > 2 * np.mean(emotion):
        return text + ": they have found voices or sounds rather than emotions."
    return text + "."
