"""One optimiser for all corpora, and the learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch

from emokit.core.errors import ConfigError
from emokit.models.modes import parameter_groups
from emokit.models.parts import check_parts, parts_of
from emokit.training.config import TrainConfig

# (fewer train utterances than, penalty lambda of lambda ||A||^2) as EmoNet's reference code
_ADAPTER_DECAY = ((500, 5e-3), (1_000, 2e-3), (10_000, 5e-4))
_ADAPTER_DECAY_LARGE = 1e-6


def adapter_decay(n_train: int) -> float:
    """Give the weight decay of the adapter of a corpus with so many train utterances.

    Twice lambda of the Keras penalty lambda ||A||^2, whose gradient is 2 lambda A.

    Example:
        >>> adapter_decay(499), adapter_decay(500), adapter_decay(10_000)
        (0.01, 0.004, 2e-06)
    """
    for limit, penalty in _ADAPTER_DECAY:
        if n_train < limit:
            return 2 * penalty
    return 2 * _ADAPTER_DECAY_LARGE


def make_optimizer(model, config: TrainConfig, train_sizes: Mapping[str, int],
                   new_adapters: Collection[str] = ()):
    """Make the optimiser over everything that learns.

    Norms are not decayed; adapters are by the size of their corpus, or of all corpora where they
    are shared, unless the config names a number; everything else by `weight_decay`. In mode
    finetune what the start brought learns at `finetune_rate` times the rate of what is new: of a
    base all but the head and adapters that it had not, of pretrained weights backbone and norms. A
    norm that a corpus has for itself is a copy of the start's. What `rates` names learns at
    that rate in any mode, the narrowest name before the wider. Parameters without gradient in a
    step (those of other corpora) are left alone, momentum and decay included.

    Args:
        train_sizes: head -> true number of train utterances.
        new_adapters: names of adapters that the start did not have.

    Raises:
        ConfigError: nothing learns, or `rates` names an unknown part.
    """
    groups, parts = [], parts_of(model)
    check_parts(model, config.rates, "rates")
    for group in parameter_groups(model):
        decay = config.weight_decay
        if group.part == "norms":
            decay = 0.0
        elif group.part == "adapters":
            decay = config.adapter_weight_decay
            if decay is None:
                decay = adapter_decay(train_sizes[group.corpus] if group.corpus else
                                      sum(train_sizes.values()))
        brought = (group.part != "head" if config.init is not None
                   else group.part in ("backbone", "norms"))
        slow = config.finetune_rate if config.mode == "finetune" and brought else 1.0
        for factor, parameters in _by_rate(group.parameters, config, parts, slow,
                                           new_adapters).items():
            groups.append({"params": parameters, "weight_decay": decay,
                           "lr": factor * config.learning_rate, "factor": factor})
    if not groups:
        raise ConfigError("Nothing is left to learn. Choose another --mode.")
    # PyTorch's fused kernels exist for these on a GPU; the rest use its multi-tensor default
    fused = {"fused": True} if next(model.parameters()).is_cuda else {}
    momentum = config.momentum
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=config.learning_rate, momentum=momentum, **fused)
        if fused and momentum:
            begin_momentum(optimizer)
        return optimizer
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=config.learning_rate, momentum=momentum)
    if config.optimizer == "adadelta":
        return torch.optim.Adadelta(groups, lr=config.learning_rate)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, **fused)


def _by_rate(parameters: Mapping[str, torch.nn.Parameter], config: TrainConfig,
             parts: Mapping[str, tuple[str, ...]], factor: float, new: Collection[str]
             ) -> dict[float, list[torch.nn.Parameter]]:
    """Divide parameters by how many times the learning rate theirs is."""
    found: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in parameters.items():
        own = next((config.rates[part] for part in parts[name] if part in config.rates), None)
        is_new = parts[name][0] != "norm" and not set(parts[name]).isdisjoint(new)
        rate = (1.0 if is_new else factor) if own is None else own / config.learning_rate
        found.setdefault(rate, []).append(parameter)
    return found


def begin_momentum(optimizer: torch.optim.SGD) -> None:
    """Give every parameter of SGD a momentum of zero, from which it goes on as from none at all.

    The fused kernel breaks off where some parameters of a group come to their first gradient later
    than others, as with adapters at some layers of some corpora.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def scheduled_rate(config: TrainConfig, step: int, n_steps: int, stage: int = 0) -> float:
    """Give the learning rate of a step.

    Linear warm-up over the first `warmup` share of steps; then a half cosine to zero, a constant,
    or a tenth per plateau stage.

    Args:
        step: from 0.
        n_steps: of the whole run.
        stage: plateau stage, from 0.
    """
    n_warmup = math.ceil(config.warmup * n_steps)
    if step < n_warmup:
        return config.learning_rate * (step + 1) / n_warmup
    if config.schedule == "cosine":
        progress = (step - n_warmup) / max(1, n_steps - n_warmup)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    if config.schedule == "plateau":
        return config.learning_rate * 0.1**stage
    return config.learning_rate


def set_rate(optimizer, rate: float) -> None:
    """Set the learning rate of all groups, each times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
