"""A training step reads no value of a tensor: on a GPU each such reading would wait for it.

The rule is checked on the CPU, so it holds where there is no GPU; tests/training/test_gpu.py has
CUDA itself check it, the copies included.
"""

import contextlib
import sys

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from emokit.corpora.store import open_emoset
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.models.masking import all_real
from emokit.testing import TINY_TRANSFORMERS
from emokit.training.loop import _Trainer
from emokit.training.predict import place
from emokit.training.run import Cell
from emokit.training.start import make_model
from emokit.training.train import effective, sources_of

VALUES = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::masked_select",
          "aten::equal", "aten::_unique2", "aten::unique_consecutive",
          "aten::repeat_interleave.Tensor"}
"""What needs a value, or a shape that hangs on values: item(), bool(), if, a mask as index."""

METHODS = ("cpu", "numpy", "tolist", "item", "__array__", "__bool__", "__int__", "__float__",
           "__repr__", "__str__", "__format__")
NEW = {torch.tensor, torch.as_tensor}
"""Of a list: a copy that waits."""

SHORTCUT = all_real.__code__
"""Reads lengths on a CPU only, to skip the masks where nothing is padded."""


class _Functions(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not _in_shortcut():
            name = getattr(function, "__name__", "")
            if name in METHODS or (function in NEW and kwargs.get("device") is not None):
                raise AssertionError(f"a step calls {name}()")
        return function(*args, **kwargs)


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        masks = name.startswith(("aten::index.Tensor", "aten::index_put")) and any(
            index is not None and index.dtype == torch.bool for index in args[1])
        if (masks or name in VALUES) and not _in_shortcut():
            raise AssertionError(f"a step runs {name}{' with a mask' if masks else ''}")
        return function(*args, **(kwargs or {}))


def _in_shortcut() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is SHORTCUT:
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def no_reading():
    """Fail on whatever would make a step wait for the device."""
    with _Functions(), _Operations():
        yield


FLAGS = {
    "joint": dict(adapters="residual"),
    "bf16": dict(adapters="residual", precision="bf16"),
    "augmented": dict(adapters="residual", augment="specaugment+equaliser", mixup=0.3),
    "dense head": dict(adapters="residual", head="dense"),
    "own pooling": dict(adapters="residual", shared_pooling=False, pooling="statistics"),
    "focal": dict(loss="focal"),
    "by utterance": dict(normalisation="utterance"),
    "batch norm": dict(normalisation="batchnorm"),
    "pooled": dict(regime="pooled", target="arousal-valence"),
    "mixed": dict(regime="pooled", target="arousal", mixed_batches=True, mixup=0.3),
    "series": dict(adapters="residual(kind=series)"),
    "full rank": dict(adapters="residual(rank=full)"),
}


@pytest.mark.parametrize("name", FLAGS)
def test_a_step_reads_no_value(name, configure, emoset, tmp_path):
    _step(configure, emoset, tmp_path, **FLAGS[name])


@pytest.mark.parametrize("target", ["dimensions", "emotion+dimensions"])
def test_a_step_with_dimensions_reads_no_value(target, configure, rated, tmp_path):
    _step(configure, rated, tmp_path, adapters="residual", target=target, corpora=["rated"])


@pytest.mark.parametrize("kind", TINY_TRANSFORMERS)
def test_a_transformer_reads_no_value(kind):
    backbone = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS[kind])).train()
    waves, lengths = torch.linspace(-1, 1, 1800).sin().view(2, 900), torch.tensor([900, 500])
    with no_reading():
        frames, found = backbone(waves, lengths)
        frames.square().sum().backward()
    assert frames.shape[1] >= found.max() > 0


def _step(configure, emoset, tmp_path, **flags):
    config = effective(configure(**flags)[0])
    corpora = [corpus for corpus in open_emoset(emoset)
               if not config.corpora or corpus.name in config.corpora]
    sources = sources_of(config, corpora, None)
    model, _ = make_model(config.model_settings(), sources, 0)
    trainer = _Trainer(place(model, "cpu").train(), sources, config, 0,
                       Cell(tmp_path / "joint-s0"), {})
    plans = trainer.sampler.plans(0)[:3]
    for plan, batch in zip(plans, trainer.feed.batches(plans)):
        trainer.optimizer.zero_grad(set_to_none=True)
        with no_reading():
            loss = trainer._loss(batch.to(trainer.device), trainer.sources[plan.source])
            loss.backward()
        # the optimiser of a CPU counts its steps in tensors; that of a GPU keeps them there
        trainer._step()
        with no_reading():
            trainer.average.update(trainer.state.step)
    assert trainer.state.step == len(plans) > 0


@pytest.mark.parametrize("reading", [
    lambda tensor: tensor.sum().item(),
    lambda tensor: float(tensor.max()),
    lambda tensor: 1 if tensor.max() > 0 else 0,
    lambda tensor: tensor.cpu(),
    lambda tensor: tensor.tolist(),
    lambda tensor: tensor.numpy(),
    lambda tensor: f"{tensor.sum():.3f}",
    lambda tensor: tensor[tensor > 0],
    lambda tensor: tensor.masked_select(tensor > 0),
    lambda tensor: torch.nonzero(tensor),
    lambda tensor: torch.tensor([1, 2], device=tensor.device),
    lambda tensor: tensor.new_zeros(3).index_put_((torch.ones(3, dtype=bool),), tensor[:1]),
])
def test_the_guard_finds_what_reads(reading):
    with no_reading(), pytest.raises(AssertionError, match="a step (runs|calls)"):
        reading(torch.arange(3.0))


def test_whether_all_is_real_is_not_read_from_another_device():
    # a meta tensor has no values to read
    assert all_real(torch.empty(2, dtype=torch.long, device="meta"), 5) is False
    assert all_real(torch.tensor([5, 5]), 5) and not all_real(torch.tensor([5, 4]), 5)
