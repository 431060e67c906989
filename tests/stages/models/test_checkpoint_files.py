"""Published checkpoints as their authors leave them: nanochat's folder, shards, and what lies beside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nanogen.compiler import Compiled, compile_text
from nanogen.shelf import find
from runtime.faults import Fault
from runtime.manifest import read_manifest
from runtime.tokenizer import Tokenizer
from stages.models.artefact import read_artefact, read_model
from stages.models.checkpoint_files import pickles_of
from stages.models.importing import Imported, import_weights
from tests.runtime.test_unpickling import Makes

SIZES = {"depth": 2, "width": 128, "vocab": 265, "context": 16}
CONFIG = {"n_layer": 2, "n_embd": 128, "n_head": 1, "n_kv_head": 1, "vocab_size": 265, "sequence_len": 16}
BYTES = Tokenizer(tuple(bytes([value]) for value in range(256)))


def nanochat() -> dict[str, torch.Tensor]:
    """A state_dict as nanochat's compiled model gives it."""
    draw, width = torch.Generator().manual_seed(1), 128
    shapes = {"transformer.wte.weight": (265, width), "lm_head.weight": (265, width)}
    for i in range(2):
        for name in ("c_q", "c_k", "c_v", "c_proj"):
            shapes[f"transformer.h.{i}.attn.{name}.weight"] = (width, width)
        shapes[f"transformer.h.{i}.mlp.c_fc.weight"] = (4 * width, width)
        shapes[f"transformer.h.{i}.mlp.c_proj.weight"] = (width, 4 * width)
    return {f"_orig_mod.{n}": torch.randn(shape, generator=draw) for n, shape in shapes.items()}


@pytest.fixture
def compiled() -> Compiled:
    return compile_text(find("nanochat_2025", "model").read_text(), SIZES)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "d2"
    folder.mkdir()
    torch.save(nanochat(), folder / "model_000650.pt")
    torch.save({"state": {}, "param_groups": []}, folder / "optim_000650_rank0.pt")
    (folder / "meta_000650.json").write_text(json.dumps({"step": 650, "model_config": CONFIG}))
    return folder


@pytest.fixture
def bring(compiled: Compiled, tmp_path: Path, told):
    def work(weights: Path) -> Imported:
        return import_weights(compiled, weights, tmp_path / "made" / "model", wanted=None, tell=told[0])

    return work


@pytest.mark.parametrize("named", ["", "model_000650.pt"], ids=["folder", "file"])
def test_what_nanochat_leaves_comes_in(bring, there: Path, tmp_path: Path, named: str):
    done = bring(there / named)
    assert done.tensors == len(nanochat())
    found = load_file(tmp_path / "made" / "model" / "weights.safetensors")
    assert torch.equal(found["embed.weight"], nanochat()["_orig_mod.transformer.wte.weight"])
    assert read_model(tmp_path / "made" / "model").compiled.graph.dims["depth"] == 2
    manifest = read_manifest(tmp_path / "made" / "model")
    assert manifest
    assert list(manifest["imported"]["files"]) == ["model_000650.pt"]
    assert manifest["imported"]["meta"]["step"] == 650
    assert set(manifest["code"]) == {"nanogen", "source_sha256"}
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["model"]  # nothing of the way is left


def test_a_tokenizer_beside_comes_along(bring, there: Path, tmp_path: Path):
    BYTES.save(there / "tokenizer.json")
    bring(there)
    found = read_artefact(tmp_path / "made" / "model")
    assert found.tokenizer.digest == BYTES.digest


def test_a_tokenizer_of_another_size_is_refused(bring, there: Path, tmp_path: Path):
    Tokenizer((*BYTES.ranks, b"ab")).save(there / "tokenizer.json")
    with pytest.raises(Fault, match=r"tokenizer\.json` has 266 ids, and the model 265"):
        bring(there)
    assert not (tmp_path / "made").exists()


def test_a_pickled_tokenizer_is_not_opened_and_the_way_to_convert_works(
    bring, there: Path, tmp_path: Path, told
):
    (there / "tokenizer.pkl").write_bytes(b"\x80\x04K\x01.")
    bring(there)
    said = told[1].getvalue()
    assert "tokenizer.pkl is a pickle and is not opened" in said
    code = said.split('python -c "')[1].split('", and put it')[0].replace("\n", "")
    package = tmp_path / "theirs" / "nanochat"  # in its place, as it has it
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "tokenizer.py").write_text(
        "import types\nfrom pathlib import Path\nimport sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "from runtime.tokenizer import Tokenizer\n"
        "enc = Tokenizer(tuple(bytes([v]) for v in range(256)))._encoding\n"
        "def get_tokenizer():\n    return types.SimpleNamespace(enc=enc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=package.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Tokenizer.load(package.parent / "tokenizer.json").digest == BYTES.digest


def test_a_tokenizer_of_another_kind_is_left_out(bring, there: Path, told):
    (there / "tokenizer.json").write_text('{"version": "1.0", "model": {}}')
    bring(there)
    assert "is of another kind than nanogen's, and is left out" in told[1].getvalue()


@pytest.mark.parametrize(("name", "dim"), [("n_head", "heads"), ("sequence_len", "context")])
def test_what_shows_in_no_tensor_is_held_against_the_spec(bring, there: Path, name: str, dim: str):
    meta = {"model_config": {**CONFIG, name: 4}}
    (there / "meta_000650.json").write_text(json.dumps(meta))
    with pytest.raises(Fault, match=f"was trained with {name} 4, and `{dim}` is") as caught:
        bring(there)
    assert f"--set {dim}=4" in caught.value.help


@pytest.mark.parametrize("content", ["[" * 10**5, '{"model_config": NaN}', "[]"])
def test_a_hostile_meta_is_one_fault(bring, there: Path, content: str):
    (there / "meta_000650.json").write_text(content)
    with pytest.raises(Fault, match=r"meta_000650\.json"):
        bring(there)


def test_a_hostile_checkpoint_runs_nothing_and_leaves_nothing(bring, there: Path, tmp_path: Path):
    torch.save({**nanochat(), "x": Makes(tmp_path / "ran")}, there / "model_000650.pt")
    with pytest.raises(Fault, match=r"model_000650\.pt` does not come in: it asks for"):
        bring(there)
    assert not (tmp_path / "ran").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d2"]


def test_an_optimizer_is_no_model(bring, there: Path):
    with pytest.raises(Fault, match="it holds the state of an optimizer"):
        bring(there / "optim_000650_rank0.pt")


def test_of_several_steps_one_is_named(bring, there: Path):
    (there / "model_000700.pt").write_bytes(b"")
    with pytest.raises(Fault, match=r"holds several steps: `model_000650\.pt`, `model_000700\.pt`") as caught:
        bring(there)
    assert "model_000700.pt` is the last" in caught.value.help


def test_shards_of_pickles_come_in(bring, tmp_path: Path):
    folder = tmp_path / "sharded"
    folder.mkdir()
    tensors = nanochat()
    halves = list(tensors)[:5], list(tensors)[5:]
    names = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    for name, half in zip(names, halves, strict=True):
        torch.save({key: tensors[key] for key in half}, folder / name)
    listed = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": listed}))
    assert bring(folder).tensors == len(tensors)
    (folder / names[1]).unlink()
    with pytest.raises(Fault, match=r"00002-of-00002\.bin` is missing, and"):
        pickles_of(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../model.bin"}}))
    with pytest.raises(Fault, match="is not an index of shards"):
        pickles_of(folder)


def test_several_pickles_are_not_guessed_among(bring, there: Path):
    (there / "model_000650.pt").rename(there / "weights.pt")
    with pytest.raises(Fault, match=r"holds several checkpoints: `optim_000650_rank0\.pt`, `weights\.pt`"):
        bring(there)


def test_a_pickle_that_is_called_safetensors_is_refused_by_name(bring, tmp_path: Path):
    torch.save(nanochat(), tmp_path / "model.safetensors")
    with pytest.raises(Fault, match=r"model\.safetensors` is a zip archive"):
        bring(tmp_path / "model.safetensors")


def test_safetensors_do_not_pass_through_a_process(bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from runtime import unpickling

    monkeypatch.setattr(unpickling, "convert", lambda *_: pytest.fail("nothing is pickled"))
    save_file(nanochat(), tmp_path / "model.safetensors")
    assert bring(tmp_path / "model.safetensors").tensors == len(nanochat())
