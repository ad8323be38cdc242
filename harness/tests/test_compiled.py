"""Compiled trainings: the same gradients, the same names in the checkpoint, and no harm where compiling fails."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from harness.store import Interrupted, Store
from harness.training import loop
from harness.training.compiled import CUDA_GRAPHS, EARNS_BACK, compiled, is_worthwhile
from harness.training.group import ALONE, Group
from harness.training.loop import train
from harness.training.step import Backward
from models import create_model

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_only_long_trainings_of_one_process_on_a_gpu_are_compiled():
    assert is_worthwhile(EARNS_BACK, GPU, ALONE)
    assert not is_worthwhile(EARNS_BACK - 1, GPU, ALONE)
    assert not is_worthwhile(10**9, CPU, ALONE)
    assert not is_worthwhile(10**9, GPU, Group(rank=0, size=2))


def gradients(name, device, forward_of, pieces=1):
    """Loss and gradients of one batch, after one batch before it; without stochastic depth."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, image_size=8, in_chans=1).to(device).train()
    images, targets = torch.randn(6, 1, 8, 8, device=device), torch.rand(6, 10, device=device).softmax(1)
    said = []
    backward = Backward(model, "fp32", said.append, forward_of(model))
    backward.pieces = pieces
    for _ in range(2):
        model.zero_grad()
        loss, _ = backward(images, targets)
    return loss, [parameter.grad for parameter in model.parameters()], said


@pytest.mark.parametrize(("name", "backend"), [("vit_micro", "eager"), ("alter_resnet_micro", "aot_eager")])
def test_gradients_are_those_of_the_plain_call(name, backend):
    plain = gradients(name, CPU, lambda model: None)
    ours = gradients(name, CPU, lambda model: compiled(model, backend=backend))
    assert ours[2] == []
    torch.testing.assert_close(ours[:2], plain[:2])


def refuse(graph, inputs):
    raise NotImplementedError("no such device\nand a page of trace")


@pytest.fixture
def compile_with(monkeypatch):
    """Let every training be compiled by that backend."""

    def choose(backend):
        torch.compiler.reset()
        monkeypatch.setattr(loop, "is_worthwhile", lambda *_: True)
        monkeypatch.setattr(loop, "CUDA_GRAPHS", {"backend": backend})

    return choose


def test_a_compiled_training_leaves_the_same_checkpoint(make_run, digits, tmp_path, compile_with):
    run = make_run("vit_micro")  # 3 epochs of 3 steps, with stochastic depth

    def finish(folder, should_stop=lambda: False):
        said = []
        store = Store(tmp_path / folder)
        train(run, digits, store=store, device=CPU, progress=said.append, should_stop=should_stop)
        lines = [event["say"] for event in said if "say" in event]
        return load_file(store.root / run.checkpoint_key / "weights.safetensors"), lines

    plain, _ = finish("plain")
    compile_with("eager")
    steps = []
    with pytest.raises(Interrupted):
        finish("compiled", lambda: steps.append(1) or len(steps) == 4)
    ours, lines = finish("compiled")
    assert lines == []
    torch.testing.assert_close(ours, plain)

    compile_with(refuse)
    failed, (line,) = finish("failed")
    assert "torch.compile failed" in line
    assert "\n" not in line
    assert failed.keys() == plain.keys()
    torch.testing.assert_close(failed, plain)


def test_a_fault_of_the_network_itself_is_not_hidden():
    model = torch.nn.Linear(3, 2)
    said = []
    backward = Backward(model, "fp32", said.append, compiled(model, backend="eager"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        backward(torch.randn(4, 5), torch.rand(4, 2))
    assert len(said) == 1


def test_a_batch_in_pieces_is_not_compiled_again_and_again():
    model, said, calls = torch.nn.Linear(5, 3), [], []

    def out_of_memory(inputs):
        calls.append(len(inputs))
        raise torch.OutOfMemoryError("CUDA out of memory")

    backward = Backward(model, "fp32", said.append, out_of_memory)
    for _ in range(2):
        backward(torch.randn(8, 5), torch.rand(8, 3).softmax(1))
    assert calls == [8]
    assert backward.pieces == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["vit_micro", "resnet_micro", "alter_resnet_micro", "swin_micro"])
def test_cuda_graphs_give_the_gradients_of_the_plain_call(name):
    plain = gradients(name, GPU, lambda model: None)
    ours = gradients(name, GPU, lambda model: compiled(model, **CUDA_GRAPHS))
    assert ours[2] == []
    torch.testing.assert_close(ours[:2], plain[:2], rtol=1e-3, atol=1e-4)
