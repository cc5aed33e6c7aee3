"""What the frozen part of a model gives for each scoring crop, computed once and kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from emokit.core.config import signature, to_mapping
from emokit.core.errors import ConfigError, EmokitError, choices
from emokit.core.files import disk_errors, locked, remove_tree, write_json
from emokit.features.base import as_waveform
from emokit.loading.batch import Batch
from emokit.loading.dataset import collate
from emokit.loading.source import Source
from emokit.models.private import key_of, site_key
from emokit.training.frozen import BELOW_READOUT, States, below_layer
from emokit.training.predict import batches, crops_of, scoring

log = logging.getLogger("emokit")

LEVELS = {"embedding": np.float32, "frames": np.float16, "layers": np.float16,
          "last": np.float16}
"""What is kept, and in which numbers. Embeddings are small, and in float32 the scores made from
them are those of the whole model to the last bit; float16 would move a probability by up to 6e-5
(EmoDB, nEMO, RAVDESS). Frames are many, and so are the states of all layers of a speech
transformer: they are rounded, which moves one by 2e-5."""


def _kind(level: str) -> type:
    """Give the kind of number of a level; what lies below a layer is kept as all layers are."""
    return LEVELS.get(level, LEVELS["layers"])


LIMIT = 8 * 2**30
"""Bytes of states that one corpus may keep; those not used for longest go first."""

FOLDER = "states"
_VERSION = 1  # of the files
_VALUES, _LENGTHS, _FACTS = "values.bin", "lengths.i64", "states.json"


class TooManyStates(EmokitError):
    """The frozen states of a corpus would take more than the limit."""


def states(model, source: Source, rows: np.ndarray, window: float | None, rule: str = "multi",
           folder: str | os.PathLike | None = None, level: str = "embedding",
           limit: int = LIMIT, beside: int = 0) -> States:
    """Give the states of some utterances, from disk if they were ever computed.

    They lie in `FOLDER/KEY/`, the key made of everything that they depend on: the build of the
    corpus, the rows, window and rule, and `encoder_signature`; also the kind of device and the
    version of torch, which move last digits. What was interrupted goes on where it stopped; of two
    processes that want the same states one computes and the other waits. Folders may be removed
    by hand at any time.

    Args:
        model: an EmotionModel, on its device.
        source: the corpus; its head's part of the model is used.
        rows: [n] manifest rows, ascending, e.g. `source.rows["dev"]`.
        window, rule: which crops, as in scoring.
        folder: where states lie; by default `states` in the folder of the built corpus.
        level: `embedding`, one state a crop after pooling; `frames`, those before it; `layers`,
            those of all layers before the readout, of backbones that have one; `last`, the last of
            these alone; `state2`, what transformer layer 2 takes (of layers from 0), `states2`,
            that and the states below it.
        limit: bytes that all states in the folder may take.
        beside: bytes of them that are needed at the same time, such as those of dev.

    Raises:
        ConfigError: an unknown level.
        TooManyStates: they would take more than `limit`.
        EmokitError: they are no finite numbers, or cannot be written.
    """
    below = below_layer(level)
    if level not in LEVELS and not below:
        raise ConfigError(f"Unknown level '{level}' of states. "
                          f"{choices(level, [*LEVELS, 'state2', 'states2'])}")
    base = Path(folder) if folder is not None else source.corpus.folder / FOLDER
    rows = np.asarray(rows)
    facts = {
        "corpus": source.name, "build": source.corpus.signature,
        "rows": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16],
        "encoder": encoder_signature(model, source.head, level), "level": level,
        "window": window, "rule": rule, "device": next(model.parameters()).device.type,
        "torch": torch.__version__, "version": _VERSION,
    }
    crops = [crop for some in batches(crops_of(source.corpus.audio.lengths[rows], window, rule))
             for crop in some]
    pooling = model.part(source.head).pooling or model.pooling
    dim = pooling.dim if level == "embedding" else model.frame_dim(source.head)
    if level in BELOW_READOUT:
        dim = model.backbone.dim * (model.backbone.n_states if level == "layers" else 1)
    elif below:
        dim = model.backbone.dim * (below[0] + 1 if below[1] else 1)
    key = signature(facts)
    place = base / key
    busy = EmokitError(f"Another process computes the states in '{place}'. Wait for it.")
    with locked(base / f".{key}.lock", busy, wait=True):
        if not _is_whole(place, len(crops), dim, level):
            _compute(model, source, rows, crops, dim, place, level, limit, beside)
            write_json(place / _FACTS, {**facts, "crops": len(crops), "dim": dim})
            _make_room(base, key, limit)
        with contextlib.suppress(OSError):
            os.utime(place / _FACTS)  # when it was used last
        lengths = np.fromfile(place / _LENGTHS, "<i8")
        values = np.zeros((0, dim), _kind(level))
        if len(crops):
            values = np.memmap(place / _VALUES, _kind(level), "r").reshape(-1, dim)
    return States(source.head, level, rows, np.array(crops, np.int64).reshape(-1, 3), lengths,
                  values)


def encoder_signature(model, corpus: str, level: str = "embedding") -> str:
    """Hash all that a corpus's states depend on in a model.

    Settings and tensors of front end, backbone and pooling, and the corpus's own adapters, norms
    and normalisation; neither its head nor anything of other corpora, and of layers nothing that
    mixes them.
    """
    own = f"private.{key_of(corpus)}."
    later, names = [f"{own}head."], ["head"]
    if level != "embedding":
        later += [f"{own}pooling.", "pooling."]
        names += ["pooling", "shared_pooling"]
    settings, below = to_mapping(model.settings), below_layer(level)
    if level in BELOW_READOUT or below:
        mixing = {site_key(site) for site in model.backbone.sites()["states"]}
        groups = model.part(corpus).groups
        if below:
            mixing |= {key for group in groups.values() for key in group
                       if (model.backbone.layer_of(key.replace("/", ".")) or 0) >= below[0]}
        # an adapter that sits nowhere else changes none of the states
        settings["adapters"] = [item for item in settings["adapters"]
                                if set(groups.get(item["name"], ())) - mixing]
        later += [f"{where}{name}.{key}." for where in (f"{own}adapters.", "shared.")
                  for name in groups for key in mixing]
    digest = hashlib.sha256(signature(
        {name: value for name, value in settings.items() if name not in names}).encode())
    for name, tensor in sorted(model.state_for_checkpoint().items()):
        others = name.startswith("private.") and not name.startswith(own)
        if not others and not name.startswith(tuple(later)):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _is_whole(place: Path, n_crops: int, dim: int, level: str) -> bool:
    """Whether states lie there complete; damaged ones are removed, with a warning."""
    if not (place / _FACTS).is_file():
        return False
    with contextlib.suppress(OSError):
        lengths = np.fromfile(place / _LENGTHS, "<i8")
        size = int(lengths.sum()) * dim * np.dtype(_kind(level)).itemsize
        if len(lengths) == n_crops and (place / _VALUES).stat().st_size == size:
            return True
    log.warning("The frozen states in '%s' are damaged and computed again", place)
    remove_tree(place)
    return False


def _compute(model, source: Source, rows, crops, dim: int, place: Path, level: str, limit: int,
             beside: int) -> None:
    """Write the states of crops, one batch after the other, behind those that are there already."""
    partial = [place / f"{name}.partial" for name in (_VALUES, _LENGTHS)]
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        for path in partial:
            path.touch()
    some_batches = list(batches(crops))
    n_done = _cut_to_whole(*partial, dim * np.dtype(_kind(level)).itemsize,
                           [len(some) for some in some_batches])
    log.info("%s: computing frozen states of %d utterances in '%s'%s", source.name, len(rows),
             place, f", going on at {n_done / len(some_batches):.0%}" if n_done else "")
    device, audio = next(model.parameters()).device, source.corpus.audio
    size = partial[0].stat().st_size
    n_heard, n_samples = (sum(stop - start for some in several for _, start, stop in some)
                          for several in (some_batches[:n_done], some_batches))
    with scoring(model), open(partial[0], "ab") as values, open(partial[1], "ab") as lengths:
        for some in some_batches[n_done:]:
            batch = collate([audio.read(int(rows[crop[0]]), *crop[1:]) for crop in some],
                            source.head)
            found, counts = _give(model, batch.to(device), level)
            size += found.nbytes
            n_heard += sum(stop - start for _, start, stop in some)
            # what is long comes first, so that the whole can be told from the first batch
            whole = max(size, int(size * n_samples / max(1, n_heard)))
            _refuse_bad(found, whole + beside, source, place, limit)
            for path, file, array in zip(partial, (values, lengths), (found, counts)):
                with disk_errors(path):
                    file.write(array.tobytes())
                    file.flush()
    if (partial[0].stat().st_size, partial[1].stat().st_size) != (size, 8 * len(crops)):
        # where a network file system knows no locks
        remove_tree(place)
        raise EmokitError(f"Another process wrote into '{place}' too. Run the command again.")
    for path in partial:
        os.replace(path, path.with_suffix(""))
    log.info("%s: frozen states take %.1f MB", source.name, size / 1e6)


def _give(model, batch: Batch, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the states of a batch, [sum, D], and how many belong to each crop, [B]."""
    if level == "embedding":
        found = model.embed(batch).float().cpu().numpy()
        return found, np.ones(len(found), "<i8")
    below = below_layer(level)
    if level in BELOW_READOUT or below:
        model.select(batch.corpus)
        frames, lengths = model.backbone.states(
            as_waveform(batch.inputs, batch.lengths), batch.lengths)
        frames = frames[:, -1:] if level == "last" else frames
        if below:
            number, every = below
            frames = frames[:, :number + 1] if every else frames[:, number:number + 1]
        frames = frames.transpose(1, 2).flatten(2)  # [B, T', N D]
    else:
        frames, lengths = model.encode(batch)
    real = torch.arange(frames.shape[1], device=lengths.device) < lengths[:, None]
    with np.errstate(over="ignore"):  # the caller tells
        found = frames[real].float().cpu().numpy().astype(_kind(level))
    return found, lengths.cpu().numpy().astype("<i8")


def _cut_to_whole(values: Path, lengths: Path, bytes_each: int, sizes: Sequence[int]) -> int:
    """Cut what a killed process left to whole batches, and count these."""
    counts = np.fromfile(lengths, "<i8", lengths.stat().st_size // 8)
    ends = np.concatenate([[0], np.cumsum(counts)]) * bytes_each
    n_crops = int(np.searchsorted(ends, values.stat().st_size, side="right")) - 1
    whole = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    n_batches = int(np.searchsorted(whole, n_crops, side="right")) - 1
    os.truncate(lengths, 8 * whole[n_batches])
    os.truncate(values, int(ends[whole[n_batches]]))
    return n_batches


def _refuse_bad(found: np.ndarray, size: int, source: Source, place: Path, limit: int) -> None:
    if not np.isfinite(found).all():
        raise EmokitError(f"The frozen states of '{source.name}' are no finite numbers. Start "
                          "from another --init.")
    if size > limit:
        remove_tree(place)
        raise TooManyStates(
            f"The frozen states of '{source.name}' take more than {limit / 1e9:.3g} GB. Keep "
            "embeddings, fewer utterances, or fewer crops of each.")


def _make_room(base: Path, keep: str, limit: int) -> None:
    """Remove the states that were not used for longest until the rest fits the limit."""
    def used(place: Path) -> float:
        facts = place / _FACTS
        return (facts if facts.is_file() else place).stat().st_mtime

    def size(place: Path) -> int:
        return sum(file.stat().st_size for file in place.iterdir())

    places = [place for place in base.iterdir() if place.is_dir()]
    total = sum(map(size, places))
    for place in sorted((place for place in places if place.name != keep), key=used):
        if total <= limit:
            return
        # what another process computes or opens right now is left alone
        with contextlib.suppress(EmokitError), locked(
                base / f".{place.name}.lock", EmokitError("in use")):
            total -= size(place)
            remove_tree(place)
            log.info("removed frozen states '%s', those not used for longest", place)
