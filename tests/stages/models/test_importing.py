"""Published weights to a folder: the same numbers at their paths, whole or not at all."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from nanogen.compiler import compile_text
from nanogen.text.diagnostics import Refusal
from runtime.faults import Fault
from runtime.manifest import check_files, read_manifest
from stages.models.artefact import read_artefact, read_model
from stages.models.importing import Imported, import_weights
from tests.nanogen.published import TABLE, spec, tensors, wanted


@pytest.fixture
def bring(tmp_path, told):
    """Save tensors, import them by a spec; returns what was done and the folder."""

    def work(published: dict, text: str = "", *, table: str | None = None, **dims: int):
        save_file({name: t.contiguous() for name, t in published.items()}, tmp_path / "model.safetensors")
        folder = tmp_path / "made" / "model"
        compiled = compile_text(text or spec(), dims)
        done = import_weights(compiled, tmp_path / "model.safetensors", folder, wanted=table, tell=told[0])
        return done, folder

    return work


def test_every_number_arrives_at_its_path(bring):
    published = tensors()
    done, folder = bring(published)
    found, right = load_file(folder / "weights.safetensors"), wanted(published)
    assert set(found) == set(right)
    assert all(torch.equal(found[path], right[path]) for path in right)
    count = sum(t.numel() for t in right.values())
    assert done == Imported("theirs", count, len(published) - 1, ("rotary.inv_freq",), 0, 4 * count)


def test_the_folder_is_a_model_that_says_where_it_comes_from(bring, tmp_path):
    _, folder = bring(tensors(depth=2), depth=2)
    assert sorted(p.name for p in folder.iterdir()) == [
        "manifest.json", "model.json", "model.py", "model.toml", "origin.json", "result.json",
        "weights.safetensors",
    ]  # fmt: skip
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
    manifest = read_manifest(folder)
    assert manifest
    check_files(folder, manifest)
    assert manifest["imported"]["table"] == "theirs"
    assert (
        manifest["imported"]["files"]["model.safetensors"]["bytes"]
        == (tmp_path / "model.safetensors").stat().st_size
    )
    loaded = read_model(folder)
    assert loaded.compiled.graph.dims["depth"] == 2
    assert loaded.model(torch.zeros(1, 4, dtype=torch.long)).shape == (1, 4, 11)
    with pytest.raises(Fault, match="holds a model without a tokenizer"):
        read_artefact(folder)


def test_a_folder_that_was_altered_is_refused(bring):
    _, folder = bring(tensors())
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Fault, match="is not the file of its manifest"):
        read_model(folder)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened_exactly(bring, dtype):
    published = {name: t.to(dtype) for name, t in tensors().items()}
    done, folder = bring(published)
    found = load_file(folder / "weights.safetensors")
    assert all(torch.equal(found[path], t.float()) for path, t in wanted(published).items())
    assert done.rounded == 0


def test_a_parameter_is_stored_as_its_spec_says(bring):
    published = tensors()
    done, folder = bring(published, spec(stored=", dtype=bfloat16"))
    found = load_file(folder / "weights.safetensors")
    assert found["logits.weight"].dtype == torch.bfloat16
    assert torch.equal(found["logits.weight"], published["lm_head.weight"].bfloat16())
    assert done.rounded == 1


def test_the_table_that_fits_is_found_and_named(bring, told):
    both = spec(head="head.weight") + TABLE.format(name="older", head="lm_head.weight")
    done, _ = bring(tensors(), both)
    assert done.table == "older"
    assert "table: older" in told[1].getvalue()
    with pytest.raises(Fault, match="is not empty"):
        bring(tensors(), both)


def test_the_table_that_was_asked_for_is_taken(bring):
    both = spec() + TABLE.format(name="older", head="head.weight")
    with pytest.raises(Refusal, match=r"the file has no `head\.weight`"):
        bring(tensors(), both, table="older")
    with pytest.raises(Fault, match=r"has no `\[import.oldr\]`") as caught:
        bring(tensors(), both, table="oldr")
    assert caught.value.help == "did you mean `older`?"
    twice = spec() + TABLE.format(name="same", head="lm_head.weight")
    with pytest.raises(Fault, match="`theirs`, `same` fit the file alike: it has 100%"):
        bring(tensors(), twice)


def test_what_does_not_fit_leaves_nothing_behind(bring, tmp_path):
    with pytest.raises(Refusal) as caught:
        bring({**tensors(), "extra": torch.ones(2)})
    assert [d.code for d in caught.value.diagnostics] == ["NG512"]
    assert not (tmp_path / "made").exists()
    with pytest.raises(Fault, match=r"has none of the tensors that `\[import.theirs\]` names"):
        bring({"x": torch.ones(1)})
    with pytest.raises(Refusal, match="has no import table"):
        bring(tensors(), spec().split("[import")[0])


def test_a_write_that_fails_leaves_nothing_behind(bring, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("stages.models.importing.write_manifest", full)
    with pytest.raises(OSError, match="no space left"):
        bring(tensors())
    assert list((tmp_path / "made").iterdir()) == []


def test_an_empty_folder_is_filled(bring, tmp_path):
    (tmp_path / "made" / "model").mkdir(parents=True)
    done, folder = bring(tensors())
    assert json.loads((folder / "result.json").read_text())["parameters"] == done.parameters
