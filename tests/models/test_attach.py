"""Attachment under deepcopy, torch.compile and DistributedDataParallel."""

import copy
import os
import socket

import pytest
import torch
import torch._dynamo.testing
from torch import multiprocessing

from emokit.loading.batch import Batch
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.settings import ModelSettings

TINY = {"name": "resnet", "width": 4, "blocks": 1}


def test_deep_copy_is_another_model(make_model, make_batch, shake):
    model = shake(make_model(adapters=["residual"])).eval()
    batch = make_batch()
    before = model(batch)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(batch), before)
    shake(twin)
    assert not torch.equal(twin(batch), before)
    assert torch.equal(model(batch), before)
    model.select("tess")
    active = [point.active for point in twin._points.values()]
    own = set(map(id, twin.part("emodb").modules()))
    assert all(id(adapter) in own for adapters in active for adapter in adapters)


@pytest.mark.slow
def test_compiled_trunk_is_one_graph_for_corpora_of_one_structure(make_model, make_batch, shake):
    torch._dynamo.reset()
    labels = {f"c{index}": "abc" for index in range(12)}
    model = shake(make_model(labels, adapters=["residual"]), 0.05)
    compiled = copy.deepcopy(model)
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled.backbone.compile(backend=counter, fullgraph=True)
    assert list(compiled.state_dict()) == list(model.state_dict())
    for training in (True, False):
        counter.frame_count = 0
        model.train(training), compiled.train(training)
        for corpus in labels:
            batch = make_batch(corpus)
            logits, expected = compiled(batch), model(batch)
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
        assert counter.frame_count == 1
    model.train(), compiled.train()
    batch = make_batch("c3")
    for either in (model, compiled):
        either(batch).square().sum().backward()
    for one, other in zip(model.parameters(), compiled.parameters()):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, atol=1e-3, rtol=1e-3)
    torch._dynamo.reset()


def _joint_steps(rank, world, inputs, lengths):
    """Two joint steps on this rank's rows; gives the state and which gradients were None."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = EmotionModel(
        ModelSettings(backbone=TINY, adapters=["residual"], head="dense"),
        {"emodb": "abc", "tess": "abcd"})
    apply_mode(model, "joint")
    for module in model.modules():  # equal draws on ranks are not what is tested here
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    parallel = model
    if world > 1:
        parallel = torch.nn.parallel.DistributedDataParallel(
            model, find_unused_parameters=True, broadcast_buffers=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    untouched = []
    for corpus in ("tess", "emodb", "tess"):
        rows = slice(rank * len(inputs) // world, (rank + 1) * len(inputs) // world)
        batch = Batch(inputs[rows], lengths[rows], corpus)
        optimizer.zero_grad(set_to_none=True)
        parallel(batch).square().mean().backward()
        other = "emodb" if corpus == "tess" else "tess"
        untouched.append(all(p.grad is None for p in model.part(other).parameters()))
        optimizer.step()
    return model.state_dict(), untouched


def _worker(rank, world, port, inputs, lengths, path):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    try:
        torch.save(_joint_steps(rank, world, inputs, lengths), f"{path}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    inputs = torch.randn(4, 6000) / 10
    lengths = torch.tensor([6000, 2500, 4000, 6000])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(
        _worker, (2, port, inputs, lengths, str(tmp_path)), nprocs=2, join=True)
    alone, untouched = _joint_steps(0, 1, inputs, lengths)
    assert untouched == [True] * 3
    for rank in (0, 1):
        state, untouched = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert untouched == [True] * 3
        for key, value in alone.items():
            torch.testing.assert_close(state[key], value, atol=2e-4, rtol=2e-3, msg=key)


@pytest.mark.parametrize("corpus", ["emodb", "tess"])
def test_selection_follows_the_batch(corpus, make_model, make_batch):
    model = make_model(adapters=["residual"])
    model(make_batch("tess" if corpus == "emodb" else "emodb"))
    model(make_batch(corpus))
    own = set(map(id, model.part(corpus).modules()))
    for point in model._points.values():
        assert point.active and all(id(adapter) in own for adapter in point.active)
