"""Linear probes: how well one vector an utterance tells something."""

from __future__ import annotations

import dataclasses

import numpy as np

from emokit.core.seeding import generator
from emokit.evaluation.metrics import uar

FEWEST = 3
"""Utterances that a class needs to be asked for."""


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of vectors, and of which utterances.

    Args:
        name: emotion, speaker, corpus or gender.
        of: the corpus, or `all`.
        fit, ask: [n] indices of utterances that the probe is fitted on, and asked about.
        words: [N] the answer for every utterance, empty where unknown.
        division: how the two differ, in words.
    """

    name: str
    of: str
    fit: np.ndarray
    ask: np.ndarray
    words: np.ndarray
    division: str


def questions(table, seed: int) -> list[Question]:
    """Give what can be asked of utterances.

    Args:
        table: columns corpus, partition (train or dev), emotion, speaker, gender.

    Returns:
        emotion of each corpus; corpus, if there are several; gender, where both are known; all
        three from train to dev, whose speakers differ; speaker, within train, a third of each
        speaker's utterances being asked about: there is no other way to ask for speakers.
    """
    train, dev = (np.flatnonzero(table["partition"] == name) for name in ("train", "dev"))
    columns = {name: table[name].to_numpy(dtype=object)
               for name in ("corpus", "emotion", "speaker", "gender")}
    disjoint = "fitted on train, asked of dev"
    found = []
    for corpus in dict.fromkeys(columns["corpus"]):
        mine = columns["corpus"] == corpus
        found.append(Question("emotion", corpus, train[mine[train]], dev[mine[dev]],
                              columns["emotion"], disjoint))
    found.append(Question("speaker", "all", *_by_utterance(train, columns["speaker"], seed),
                          columns["speaker"], "by utterance within train"))
    for name in ("corpus", "gender"):
        found.append(Question(name, "all", train, dev, columns[name], disjoint))
    return [narrowed for question in found if (narrowed := _narrowed(question)) is not None]


def _by_utterance(train: np.ndarray, speakers: np.ndarray, seed: int
                  ) -> tuple[np.ndarray, np.ndarray]:
    draws, ask = generator(seed, "probe", "speaker"), []
    for speaker in dict.fromkeys(speakers[train]):
        own = train[speakers[train] == speaker]
        ask += list(draws.permutation(own)[:len(own) // 3])
    asked = np.sort(np.array(ask, dtype=int))
    return np.setdiff1d(train, asked), asked


def _narrowed(question: Question) -> Question | None:
    """Leave out what is unknown, and classes that are not on both sides; None if nothing is left.
    """
    words = question.words
    known = [word for word in dict.fromkeys(words[question.fit])
             if word not in ("", None) and word == word
             and (words[question.fit] == word).sum() >= FEWEST
             and (words[question.ask] == word).any()]
    if len(known) < 2:
        return None
    fit, ask = (rows[np.isin(words[rows].astype(str), known)]
                for rows in (question.fit, question.ask))
    return dataclasses.replace(question, fit=fit, ask=ask)


def probe(vectors: np.ndarray, question: Question, penalty: float) -> dict[str, object]:
    """Fit a balanced logistic regression on standardised vectors [N, D]; give its UAR.

    Returns:
        `question, of, division, classes` (their number)`, chance` (1 / classes)`, n` (asked
        about)`, uar`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    words = question.words.astype(str)
    model = make_pipeline(StandardScaler(), LogisticRegression(
        C=penalty, class_weight="balanced", max_iter=1000))
    model.fit(vectors[question.fit], words[question.fit])
    truth = words[question.ask]
    labels = sorted(set(words[question.fit]))
    return {"question": question.name, "of": question.of, "division": question.division,
            "classes": len(labels), "chance": 1 / len(labels), "n": len(question.ask),
            "uar": uar(truth, model.predict(vectors[question.ask]), labels=labels)}


def without_speakers(vectors: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Take each speaker's mean vector off, [N, D]; needs no label but who speaks."""
    found = np.array(vectors, dtype=float)
    for speaker in set(speakers):
        found[speakers == speaker] -= found[speakers == speaker].mean(0)
    return found
