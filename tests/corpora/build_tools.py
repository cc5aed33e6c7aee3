"""A corpus of one's own, tiny, with everything about it under control."""

import numpy as np

from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
from emokit.testing import write_wav

PATTERN = r"(?P<speaker>[^/]+)/(?P<emotion>[a-z]+)_(?P<text>[^/.]+)\."
CLASSES = ("anger", "neutral", "sadness")


def noise(seed, n=3200):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, n).astype(np.float32)


def make_corpus(root, n_speakers=5, per_class=2, first_seed=0):
    """Write speakers × classes × texts of noise, no two files alike."""
    seed = first_seed
    for speaker in range(n_speakers):
        for emotion in CLASSES:
            for text in range(per_class):
                seed += 1
                write_wav(root / f"s{speaker}" / f"{emotion}_{text}.wav", noise(seed))
    return root


def specs_of(tmp_path, **roots_and_settings):
    """Give specs of corpora in format pattern: name=root, or name=(root, further YAML lines)."""
    lines = []
    for name, value in roots_and_settings.items():
        root, more = value if isinstance(value, tuple) else (value, "")
        lines += [f"{name}:", "  format: pattern", f"  root: {root}", f"  pattern: '{PATTERN}'"]
        lines += [f"  {line}" for line in more.splitlines()]
    path = tmp_path / "corpora.yaml"
    path.write_text("\n".join(lines) + "\n")
    return read_specs(path)


def build(tmp_path, out="emoset", progress=None, options=None, **roots_and_settings):
    """Build corpora into tmp_path / out with one process, without the report."""
    specs = specs_of(tmp_path, **roots_and_settings)
    return build_corpora(specs, tmp_path / out, options or BuildOptions(jobs=1, report=False),
                         progress)


def contents(folder):
    """Give {relative path: bytes} of a built corpus."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}
