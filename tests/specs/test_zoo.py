"""Specs of published models: their counts at full size, and at a small size the numbers of Hugging Face's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve, field, frozen
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nanogen.compiler import compile_file
from nanogen.shelf import shelf, shipped
from runtime.decoding.generation import generate
from runtime.decoding.request import Sampling
from runtime.model import Blueprint
from stages.models.artefact import read_model
from stages.models.importing import import_weights
from tests.nanogen.running import in_pieces

ZOO = shelf() / "zoo"
SPECS = sorted(ZOO.glob("*.toml"))
VOCAB, CONTEXT = 61, 32


@frozen
class Case:
    """A spec at small sizes, and the same in the words of a Hugging Face config."""

    spec: str
    architecture: str
    dims: dict[str, Any]
    config: dict[str, Any]
    table: str = "transformers"
    renamed: tuple[str, str] = ("", "")  # a prefix of the file's names, and what another file has there
    buffers: dict[str, tuple[int, ...]] = field(factory=dict)  # published beside the parameters


DIMS = {"depth": 2, "width": 24, "heads": 4, "kv_heads": 2, "hidden": 40}
CONFIG = {
    "num_hidden_layers": 2,
    "hidden_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": CONTEXT,
}
GPT2 = Case(
    "gpt2_xl",
    "GPT2",
    {"depth": 2, "width": 24, "heads": 4},
    {"n_layer": 2, "n_embd": 24, "n_head": 4, "n_positions": CONTEXT},
)
STRETCH = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES = {
    "llama3_8b": Case(
        "llama3_8b",
        "Llama",
        DIMS,
        CONFIG | {"rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
    ),
    "llama3_8b stretched": Case(  # from 16 positions: some pairs are left, some blended, some slowed
        "llama3_8b",
        "Llama",
        DIMS | {"width": 64, "stretch": 8, "trained": 16},
        CONFIG
        | {"hidden_size": 64, "rms_norm_eps": 1e-5}
        | {
            "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **STRETCH}
            | {"original_max_position_embeddings": 16}
        },
    ),
    "qwen3_8b": Case(
        "qwen3_8b",
        "Qwen3",
        DIMS | {"head_dim": 10},
        CONFIG
        | {"head_dim": 10, "rms_norm_eps": 1e-6}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}},
    ),
    "gemma3_1b": Case(  # deep enough for a layer that sees all, long enough to leave the window
        "gemma3_1b",
        "Gemma3",
        DIMS | {"depth": 7, "kv_heads": 1, "head_dim": 10, "window": 5, "query_scale": 13},
        CONFIG
        | {"num_hidden_layers": 7, "num_key_value_heads": 1, "head_dim": 10}
        | {"sliding_window": 5, "query_pre_attn_scalar": 13},
    ),
    "gemma2_2b": Case(
        "gemma2_2b",
        "Gemma2",
        DIMS
        | {"depth": 3, "head_dim": 10, "window": 5, "query_scale": 13}
        | {"score_cap": 2, "logit_cap": 0.01},
        CONFIG
        | {"num_hidden_layers": 3, "head_dim": 10, "sliding_window": 5, "query_pre_attn_scalar": 13}
        | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 0.01},
    ),
    "pythia_1_4b": Case(
        "pythia_1_4b",
        "GPTNeoX",
        {"depth": 2, "width": 64, "heads": 4, "hidden": 40},
        {k: v for k, v in CONFIG.items() if k != "num_key_value_heads"} | {"hidden_size": 64},
    ),
    "lfm2_1_2b": Case(
        "lfm2_1_2b",
        "Lfm2",
        {k: v for k, v in DIMS.items() if k != "hidden"}
        | {"depth": 3, "attends": [1], "declared": 61, "multiple": 8},
        CONFIG
        | {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]}
        | {"intermediate_size": 61, "block_multiple_of": 8},
    ),
    "gpt2_xl": GPT2,
    "gpt2_xl of the hub": evolve(
        GPT2,
        table="hub",
        renamed=("transformer.", ""),
        buffers={f"h.{i}.attn.bias": (1, 1, CONTEXT, CONTEXT) for i in range(2)},
    ),
}
CONFIGS = {"Gemma3": "Gemma3TextConfig"}


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_the_published_count_holds_at_full_size(path: Path):
    compiled = compile_file(path)
    assert compiled.blueprint["count"] == compiled.spec.expect["parameters"]
    assert not compiled.warnings
    assert compiled.name == path.stem


def test_every_spec_is_on_the_shelf_and_is_held_to_the_original():
    assert {p.stem for p in SPECS} <= set(shipped("model"))
    assert {p.stem for p in SPECS} == {case.spec for case in CASES.values()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_logits_and_tokens_are_those_of_transformers(case: Case, tmp_path: Path, told):
    theirs = original(case)
    publish(case, theirs, tmp_path / "published")
    compiled = compile_file(ZOO / f"{case.spec}.toml", {"vocab": VOCAB, "context": CONTEXT, **case.dims})
    done = import_weights(compiled, tmp_path / "published", tmp_path / "model", wanted=None, tell=told[0])
    assert (done.table, done.ignored) == (case.table, tuple(sorted(case.buffers)))
    ours = read_model(tmp_path / "model").model
    tokens = torch.randint(VOCAB, (2, CONTEXT), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for length in (1, 6, CONTEXT):
            found, wanted = ours(tokens[:, :length]), theirs(tokens[:, :length]).logits
            assert differs(found, wanted) < 1e-5
        cuts = (0, 7, *range(8, 16), CONTEXT)  # some at once, some one by one
        assert differs(in_pieces(ours, compiled.blueprint, tokens, cuts), found) < 1e-4
        greedy(theirs, ours, compiled.blueprint, tokens[0, :3].tolist())


def original(case: Case) -> nn.Module:
    """The published architecture at a small size, every weight random: no start hides a mistake."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, CONFIGS.get(case.architecture, f"{case.architecture}Config"))
    name = "GPT2LMHeadModel" if case.architecture == "GPT2" else f"{case.architecture}ForCausalLM"
    made = config(vocab_size=VOCAB, attn_implementation="eager", use_cache=False, **case.config)
    model = getattr(transformers, name)(made).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        scale = 1.5 * parameter.shape[-1] ** -0.5 if parameter.dim() == 2 else 0.4
        parameter.data = scale * drawn + (parameter.dim() == 1) * 0.7
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.weight.data *= 0.003  # so small that the norms' eps is felt
    model.tie_weights()
    return model


def publish(case: Case, model: nn.Module, folder: Path) -> None:
    """Save the model as its makers do, under the names of the file at hand."""
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    old, new = case.renamed
    tensors = {new + name.removeprefix(old): tensor for name, tensor in tensors.items()}
    tensors |= {name: torch.ones(shape) for name, shape in case.buffers.items()}
    save_file(tensors, path)


def differs(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, of the largest number."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def greedy(theirs: nn.Module, ours: nn.Module, blueprint: Blueprint, prompt: list[int]) -> None:
    """Both write the same, ours with a cache, theirs anew for each token."""
    written = torch.tensor([prompt])
    while written.shape[1] < 20:
        chosen = theirs(written).logits[:, -1].argmax(-1, keepdim=True)
        written = torch.cat((written, chosen), dim=1)
    found = generate(ours, blueprint, prompt, tokens=20 - len(prompt), sampling=Sampling(temperature=0))
    assert found == [written[0, len(prompt) :].tolist()]
