"""The whole model: front end, shared backbone, and each corpus's own part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from emokit.core.errors import CheckpointError, ConfigError, choices, culprits
from emokit.features import FRONT_ENDS
from emokit.features.base import as_waveform
from emokit.loading.batch import Batch
from emokit.models import HEADS, POOLINGS
from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import AttachedForward, attach, ordered
from emokit.models.adapters.base import place, serves
from emokit.models.adapters.norm import average_norms
from emokit.models.adapters.residual import full_rank_mean
from emokit.models.backbones import BACKBONES
from emokit.models.masking import position_mask
from emokit.models.private import (
    CorpusPart, become_mean, check_labels, copy_part, key_of, site_key,
)
from emokit.models.settings import ModelSettings, part

Augment = Callable[[Tensor, Tensor], Tensor]


class EmotionModel(nn.Module):
    """One shared backbone; adapters, norms, normalisation and head of each corpus beside it.

    Dropout draws from torch's global generator; a training loop that seeds it from (seed, corpus,
    step of that corpus) before each step keeps the streams of corpora apart and resumes exactly.

    Args:
        settings: parts and their settings.
        labels: corpus to its ordered classes; may be empty, `add_corpus` adds more.
        dimensions: corpus to the dimensions that its head answers besides; a corpus in neither
            has none.

    Attributes:
        frontend: waveform to frames; None if the backbone takes waveforms.
        backbone, pooling: shared; `pooling` is None if each corpus has its own.
        private: one `CorpusPart` per corpus, see `part`.
        shared: {adapter name: {site key: Adapter}} of adapters that corpora share.

    Raises:
        ConfigError: unknown part or setting, no classes, an adapter that finds no site.
    """

    def __init__(self, settings: ModelSettings, labels: Mapping[str, Sequence[str]],
                 dimensions: Mapping[str, Sequence[str]] | None = None):
        super().__init__()
        self.settings = settings
        cls, config = part(FRONT_ENDS, settings.frontend)
        self.frontend = cls(config)
        cls, config = part(BACKBONES, settings.backbone)
        self.backbone = cls(config, self.frontend.dim)
        if self.backbone.input == "waveform":
            self.frontend = None
            if settings.normalisation != "none":
                raise ConfigError(
                    f"Backbone '{self.backbone.name}' takes waveforms and normalises them itself. "
                    "Set normalisation to none, or choose --preset encoder.")
        elif self.backbone.input != self.frontend.name:
            raise ConfigError(
                f"Backbone '{self.backbone.name}' takes '{self.backbone.input}', not front end "
                f"'{self.frontend.name}'. Set frontend to {self.backbone.input}.")
        self._check_frame_dims()
        self.pooling = self._make_pooling() if settings.shared_pooling else None
        self.private = nn.ModuleDict()
        self.shared = nn.ModuleDict()
        self._points: dict[str, AttachedForward] = {}
        self._names: dict[str, str] = {}
        for corpus, classes in labels.items():
            self.add_corpus(corpus, classes, dimensions=(dimensions or {}).get(corpus, ()))

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora, in the order they came."""
        return tuple(self._names)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Each corpus's ordered classes."""
        return {corpus: self.part(corpus).labels for corpus in self.corpora}

    @property
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        """What each corpus's head answers besides its classes."""
        return {corpus: self.part(corpus).dimensions for corpus in self.corpora}

    def part(self, corpus: str) -> CorpusPart:
        """Give the private part of a corpus.

        Raises:
            ConfigError: a corpus that the model does not have.
        """
        if corpus not in self._names:
            raise ConfigError(
                f"The model has no corpus '{corpus}'. {choices(corpus, self._names)}")
        return self.private[self._names[corpus]]

    # what a batch goes through

    def select(self, corpus: str | None) -> None:
        """Turn on the adapters of one corpus at all sites; None turns all off."""
        own = None if corpus is None else self.part(corpus)
        for site, point in self._points.items():
            point.active = () if own is None else tuple(adapter for _, adapter in own.at(site))

    def encode(self, batch: Batch, augment: Augment | None = None) -> tuple[Tensor, Tensor]:
        """Give frames [B, T', D] and lengths [B], what the pooling sees; arguments as `forward`."""
        own = self.part(batch.corpus)
        self.select(batch.corpus)
        inputs, lengths = batch.inputs, batch.lengths
        if self.frontend is None:
            if augment is not None:
                raise ConfigError(
                    f"Backbone '{self.backbone.name}' takes waveforms, so that nothing can be done "
                    "to frames. Leave specaugment and equaliser out of augment, and mixup at 0.")
            frames = as_waveform(inputs, lengths)
        else:
            if inputs.dim() == 2:
                inputs, lengths = self.frontend(inputs, lengths)  # [B, T, F]
            frames = self._prepare(own, inputs, lengths, augment)
        return self.backbone(frames, lengths)  # [B, T', D]

    def embed(self, batch: Batch, augment: Augment | None = None) -> Tensor:
        """Give embeddings [B, D], what the head sees; arguments as `forward`."""
        return self.pool(batch.corpus, *self.encode(batch, augment))

    def pool(self, corpus: str, frames: Tensor, lengths: Tensor) -> Tensor:
        """Give embeddings [B, D] of frames [B, T', D], by the pooling that a corpus uses."""
        return (self.part(corpus).pooling or self.pooling)(frames, lengths)

    def forward(self, batch: Batch, augment: Augment | None = None) -> Tensor:
        """Give what the head of the batch's corpus answers, [B, K + R].

        The first K are logits of its classes, the others values of its R dimensions, meant to lie
        on [0, 1] but not squashed.

        Args:
            batch: `inputs` waveform [B, S] (float or int16) or frames [B, T, F] of the front end.
            augment: `(frames [B, T, F] normalised, lengths [B]) -> frames`, e.g. SpecAugment.

        Raises:
            ConfigError: a corpus that the model does not have.
        """
        return self.part(batch.corpus).head(self.embed(batch, augment))

    @staticmethod
    def _prepare(own: CorpusPart, frames: Tensor, lengths: Tensor, augment: Augment | None):
        real = position_mask(lengths, frames.shape[1])[:, :, None]
        # where, not multiplication: padding may hold NaN
        frames = torch.where(real, own.normalise(frames, real), 0.0)
        if hasattr(own, "input_norm"):
            frames = own.input_norm(frames[:, None], real[:, None].float())[:, 0]
        if augment is not None:
            frames = torch.where(real, augment(frames, lengths), 0.0)
        return frames

    # corpora come and go

    def add_corpus(self, name: str, labels: Sequence[str], copy_from: str | None = None,
                   dimensions: Sequence[str] = ()) -> None:
        """Add a corpus's part.

        Args:
            name: id of the corpus.
            labels: its ordered classes.
            dimensions: what its head answers besides or instead.
            copy_from: where norms start. None: the backbone's own. "mean": the average over the
                present corpora (of scale and shift; moments of the mixture), as for private
                pooling and normalisation; adapters start as the identity, see `recentre`. A
                corpus: its whole part, the head only where its answers agree.

        Raises:
            ConfigError: a corpus already here, bad classes, an adapter that fits no site, or
                nothing to copy from.
        """
        if name in self._names:
            raise ConfigError(f"The model has corpus '{name}' already. Remove it first.")
        if not name or "." in name:
            raise ConfigError(f"'{name}' is no corpus id; letters, digits and _ are.")
        check_labels(labels, dimensions)
        others = [self.part(corpus) for corpus in self.corpora]
        if copy_from == "mean" and not others:
            raise ConfigError(f"Corpus '{name}' cannot start from a mean over no corpora.")
        source = None if copy_from in (None, "mean") else self.part(copy_from)
        cls, config = part(HEADS, self.settings.head)
        pooling = None if self.settings.shared_pooling else self._make_pooling(name)
        dim = (self.pooling if pooling is None else pooling).dim
        input_dim = 0 if self.frontend is None else self.frontend.dim
        own = CorpusPart(labels, cls(config, dim, len(labels) + len(dimensions)), pooling,
                         self.settings.normalisation, input_dim, dimensions)
        for item in self.settings.adapters:
            self._add_adapters(own, name, item)
        device = next(self.backbone.parameters()).device
        own.to(device), self.shared.to(device)
        for site in self._points:
            ordered(own.at(site), site)
        if copy_from == "mean":
            become_mean(own, others)
        elif source is not None:
            copy_part(source, own)
        self.private[key_of(name)] = own
        self._names[name] = key_of(name)

    def _make_pooling(self, corpus: str | None = None) -> nn.Module:
        cls, config = part(POOLINGS, self.settings.pooling)
        return cls(config, self.frame_dim(corpus))

    def frame_dim(self, corpus: str | None = None) -> int:
        """Give the size of the frames that a corpus's pooling sees; of any corpus's if None."""
        for item in self.settings.adapters:
            cls, config = part(ADAPTERS, item)
            dim = cls.frame_dim(config)
            if dim is not None and (corpus is None or serves(config, corpus)):
                return dim
        return self.backbone.dim

    def _check_frame_dims(self) -> None:
        for item in self.settings.adapters:
            cls, config = part(ADAPTERS, item)
            if self.settings.shared_pooling and config.corpora is not None and (
                    cls.frame_dim(config) is not None):
                raise ConfigError(
                    f"adapter {item['name']}: it gives frames of another size, so with one pooling "
                    "every corpus needs it. Leave out 'corpora', or set shared_pooling to false.")

    def _add_adapters(self, own: CorpusPart, corpus: str, item: dict) -> None:
        cls, config = part(ADAPTERS, item)
        if not serves(config, corpus):
            return
        name = item["name"]
        if name in self.shared:
            own.add(name, self.shared[name], shared=True)
            return
        made = {site: cls.make(module, role, config)
                for role, site, module in place(cls, config, self.backbone, name)}
        made = {site: adapter for site, adapter in made.items() if adapter is not None}
        group = nn.ModuleDict({site_key(site): adapter for site, adapter in made.items()})
        own.add(name, group, config.shared)
        if config.shared:
            self.shared[name] = group
        self._points.update(attach(self.backbone, made))

    def remove_corpus(self, name: str) -> None:
        """Remove a corpus's part."""
        self.part(name)
        self.select(None)
        del self.private[self._names.pop(name)]

    def set_normalisation(self, corpus: str, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation [F] of the frames of a corpus's train partition.

        Raises:
            ConfigError: the model normalises otherwise, or the shapes differ.
        """
        own = self.part(corpus)
        if "mean" not in own._buffers:
            raise ConfigError(
                f"A model with normalisation '{self.settings.normalisation}' takes no mean.")
        for name, value in (("mean", mean), ("std", std)):
            value = torch.as_tensor(value)
            buffer = own.get_buffer(name)
            if value.shape != buffer.shape or not bool(torch.isfinite(value).all()):
                raise ConfigError(
                    f"The {name} of corpus '{corpus}' must be {buffer.numel()} finite numbers, "
                    f"one a band; got shape {tuple(value.shape)}.")
            buffer.copy_(value)

    # tensors out and in

    def replaced_sites(self) -> list[str]:
        """Name the backbone's norms that no corpus uses, because each has its own there."""
        parts = [self.part(corpus) for corpus in self.corpora]
        return [site for site in self._points
                if parts and all(own.norms_at(site) is not None for own in parts)]

    def corpus_state(self, name: str) -> dict[str, Tensor]:
        """Give all tensors of one corpus's part, by names without the corpus."""
        return {key: value.contiguous() for key, value in self.part(name).state_dict().items()}

    def load_corpus_state(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Load what `corpus_state` gave.

        Raises:
            CheckpointError: a tensor is missing, too many or of another shape.
        """
        own = self.part(name)
        _check(own.state_dict(), state, f"corpus '{name}'")
        own.load_state_dict(state)

    def state_for_checkpoint(self) -> dict[str, Tensor]:
        """Give all tensors that some corpus can use; norms replaced everywhere are left out."""
        unused = tuple(f"backbone.{site}." for site in self.replaced_sites())
        return {key: value.contiguous() for key, value in self.state_dict().items()
                if not (unused and key.startswith(unused))}

    def load_checkpoint_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what `state_for_checkpoint` gave; norms left out become the mean over corpora.

        Raises:
            CheckpointError: a tensor is missing, too many or of another shape.
        """
        _check(self.state_for_checkpoint(), state, "the model")
        self.load_state_dict(state, strict=False)
        parts = [self.part(corpus) for corpus in self.corpora]
        for site in self.replaced_sites():
            average_norms(self.backbone.get_submodule(site),
                          [own.norms_at(site).own for own in parts])

    @torch.no_grad()
    def recentre(self) -> None:
        """Move the mean of full-rank parallel adapters into the shared kernels.

        Joint training leaves W and the A_c defined only up to W + M, A_c - M at the centre tap.
        With M = mean_c A_c the backbone becomes the average model and a zero adapter the natural
        start of a new corpus. No score of a present corpus changes; other adapters stay.
        """
        parts = [self.part(corpus) for corpus in self.corpora]
        for site in self._points:
            names = {name for own in parts for name, _ in own.at(site)}
            for name in names - set(self.shared):  # what is shared has no mean to move
                there = [dict(own.at(site)).get(name) for own in parts]
                mean = full_rank_mean(there)
                if mean is not None:
                    self.backbone.get_submodule(site).weight += there[0].pad(mean)
                    for adapter in there:
                        adapter.matrix -= mean

    def train(self, mode: bool = True) -> EmotionModel:
        """Set training mode, except in whatever is frozen, whose statistics must not move."""
        super().train(mode)
        if mode:
            _rest_frozen(self)
        return self


def _rest_frozen(module: nn.Module) -> None:
    flags = [parameter.requires_grad for parameter in module.parameters()]
    if flags and not any(flags):
        if not getattr(module, "works_when_frozen", ()):
            module.eval()
    elif flags and not all(flags):
        for child in module.children():
            _rest_frozen(child)


def _check(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], what: str) -> None:
    missing = [key for key in expected if key not in state]
    extra = [key for key in state if key not in expected]
    shapes = [f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
              for key, value in expected.items()
              if key in state and state[key].shape != value.shape]
    for words, names in (("lacks", missing), ("has too many", extra), ("differ in shape", shapes)):
        if names:
            raise CheckpointError(
                f"The weights do not fit {what}: {words} {culprits(names)} ({len(names)} tensors). "
                "Use a checkpoint of the same settings.")
