"""Linear models on classical features: the floor that every trained network must pass."""

from emokit.core.registry import Registry

BASELINES = Registry("baseline", {
    "logmel": "emokit.baselines.logmel:LogMelStatistics",
    "functionals": "emokit.features.functionals:Functionals",
    "egemaps": "emokit.features.egemaps:Egemaps",
    "embedding": "emokit.baselines.embedding:Embedding",
    "states": "emokit.baselines.states:States",
})
"""Feature sets: a class with `Config`, `dim`, and a call `(waveform [S] float32) -> [dim]`.

It may also have `slow = True` with `library`, the package whose version counts (its features are
kept on disk), `notice` (what to say when it is used), `classifier` (the default one),
`identity()` (a hash of its weights), and `fit` (in place of `emokit.baselines.fitting.fit`)."""

PATHS = {"embedding": "the encoder's file", "states": "a pretrained speech transformer"}
"""What is named behind the colon of `NAME:PATH`, of those that need it."""
