"""Marks on a trainer change nothing of what it computes."""

import pytest
import torch
from torch import nn

from runtime.primitives import Embedding
from stages.profiling.scopes import Marked, Scopes, marked, named


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.y = nn.Linear(2, 2)

    def forward(self, x):
        return self.y(x)


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = Embedding(4, 2)
        self.trunk = nn.ModuleList([Inner(), Inner()])
        self.head = nn.Linear(2, 4)


def test_of_eager_code_all_modules_are_marked_and_of_compiled_regions_alone():
    model = Whole()
    assert [path for path, _ in marked(model, None)] == [
        "embed",
        "trunk.0",
        "trunk.0.y",
        "trunk.1",
        "trunk.1.y",
        "head",
    ]
    assert [path for path, _ in marked(model, ["trunk.0", "trunk.1"])] == ["trunk.0", "trunk.1", "embed"]


def test_calls_are_counted_with_whether_gradients_come_back():
    scopes, inner = Scopes(), Inner()
    inner.register_forward_pre_hook(scopes._enters("a"))
    inner.register_forward_hook(scopes._leaves, always_call=True)
    x = torch.ones(1, 2)
    assert torch.equal(inner(x), inner.y(x))
    with torch.no_grad():
        inner(x)
    assert (scopes.calls["a"].forward, scopes.calls["a"].backward) == (2, 1)
    scopes.clear()
    assert scopes.calls == {}


def test_a_scope_is_closed_where_a_module_fails():
    scopes, inner = Scopes(), Inner()
    inner.register_forward_pre_hook(scopes._enters("a"))
    inner.register_forward_hook(scopes._leaves, always_call=True)
    with pytest.raises(RuntimeError):
        inner(torch.ones(1, 3))
    assert scopes._open == []


def test_what_is_named_does_what_it_did():
    through = []
    double = named("x", lambda n, *, plus=0: 2 * n + plus, after=lambda: through.append(1))
    assert double(3, plus=1) == 7
    assert through == [1]


def test_a_marked_loader_is_the_loader():
    class Numbers:
        def __init__(self):
            self.at = 0

        def __next__(self):
            self.at += 1
            return self.at

        def state(self):
            return {"at": self.at}

    loader = Marked(Numbers())
    assert [next(loader), next(iter(loader))] == [1, 2]
    assert loader.state() == {"at": 2}
