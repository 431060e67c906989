"""The folder of a model describes all of it, and what does not match is refused: no byte may turn unseen."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nanogen.compiler import Compiled, compile_text
from nanogen.shelf import find
from runtime import manifest
from runtime.faults import Fault
from runtime.manifest import read_manifest, to_json, write_manifest
from runtime.model import build, initialize
from runtime.primitives import Now
from stages.models.artefact import read_artefact, read_model, write_artefact
from stages.running.runner import execute

SIZES = {"depth": 2, "width": 64, "vocab": 300, "context": 16}
TOKENS = torch.arange(10)[None]


def written(text: str, folder: Path) -> tuple[Compiled, torch.Tensor]:
    """A model of a spec in a folder, and its logits."""
    compiled = compile_text(text, SIZES)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=1)
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():  # a head of zeros would hide a cap
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=draw))
        logits = model(TOKENS, Now.start(TOKENS))
    folder.mkdir()
    write_artefact(folder, compiled, dict(model.named_parameters()), None)
    write_manifest(folder, {})
    return compiled, logits


@torch.no_grad()
def test_another_number_in_an_equation_comes_back_with_the_model(tmp_path: Path):
    text = find("saint_iberis_tiny", "model").read_text()
    assert text.count("softcap(head, 15)") == 1
    _, usual = written(text, tmp_path / "usual")
    compiled, wanted = written(text.replace("softcap(head, 15)", "softcap(head, 7)"), tmp_path / "other")
    assert not torch.allclose(usual, wanted, atol=0.01)
    found = read_model(tmp_path / "other")
    assert found.compiled.source == compiled.source
    assert torch.equal(found.model(TOKENS, Now.start(TOKENS)), wanted)


def test_a_compiler_that_would_compute_something_else_is_refused(tmp_path: Path, monkeypatch):
    """A model is never read as another one in silence."""
    from stages.models import artefact

    written(find("saint_iberis_tiny", "model").read_text(), tmp_path / "model")
    plain = artefact.compile_text

    def changed(text: str, *args, **named) -> Compiled:
        return plain(text.replace("softcap(head, 15)", "softcap(head, 20)"), *args, **named)

    monkeypatch.setattr(artefact, "compile_text", changed)
    with pytest.raises(Fault, match="was trained as"):
        read_model(tmp_path / "model")


# -- what does not match


FILES = (
    "clock.json", "clock.jsonl", "manifest.json", "metrics.jsonl", "model.json", "model.py", "model.toml", "origin.json", "result.json",
    "tokenizer.json", "weights.safetensors",
)  # fmt: skip


@pytest.fixture
def trained(trained_run: Path, tmp_path: Path) -> Path:
    """The folder of a trained model, to be spoiled."""
    return Path(shutil.copytree(trained_run / "runs" / "small" / "base", tmp_path / "base"))


def rewritten(folder: Path) -> None:
    """The manifest again, as one would have it who wants a change to go unseen."""
    write_manifest(folder, read_manifest(folder) or {})


def test_all_files_of_a_model_are_tried(trained: Path):
    assert sorted(p.name for p in trained.iterdir()) == sorted(FILES)
    assert read_artefact(trained).manifest["stage"] == "base"


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_anywhere_is_refused_with_both_hashes(trained: Path, name: str):
    whole = (trained / name).read_bytes()
    for place in (0, len(whole) // 2, len(whole) - 1):
        (trained / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Fault) as caught:
            read_artefact(trained)
        assert name in caught.value.message
        if name != "manifest.json":  # of which a turned byte may also leave no JSON
            assert re.search("[0-9a-f]{12} found, [0-9a-f]{12} recorded", caught.value.message)
        assert "restore" in caught.value.help
    (trained / name).write_bytes(whole)
    read_artefact(trained)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(trained: Path, name: str):
    (trained / name).unlink()
    with pytest.raises(Fault) as caught:
        read_artefact(trained)
    gone = {"manifest.json": "no manifest", "weights.safetensors": "holds no trained model"}
    assert gone.get(name, f"{name}` is missing, and its manifest lists it") in caught.value.message


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "model.toml", "model.json", "origin.json", "tokenizer.json"]
)
def test_a_file_that_is_read_must_be_listed(trained: Path, name: str):
    """Else it could be changed unseen."""
    facts = read_manifest(trained)
    assert facts
    del facts["files"][name]
    facts["digest"] = manifest._own_digest(facts)
    (trained / "manifest.json").write_bytes(to_json(facts))
    with pytest.raises(Fault, match=f"{name}` is not listed in the manifest of the model"):
        read_artefact(trained)


@pytest.mark.parametrize("hidden", [False, True], ids=["alone", "with its manifest"])
def test_another_tokenizer_of_the_same_size_is_refused(trained: Path, hidden: bool):
    other = json.loads((trained / "tokenizer.json").read_text())
    other["ranks"][-1], other["ranks"][-2] = other["ranks"][-2], other["ranks"][-1]
    (trained / "tokenizer.json").write_text(json.dumps(other, indent=1) + "\n")
    if hidden:
        rewritten(trained)
    wanted = (
        "the model was trained with [0-9a-f]{12}" if hidden else "[0-9a-f]{12} found, [0-9a-f]{12} recorded"
    )
    with pytest.raises(Fault, match=wanted):
        read_artefact(trained)


def test_another_spec_is_refused_though_its_weights_would_fit(trained: Path):
    path = trained / "model.toml"
    path.write_text(path.read_text().replace("softcap(head, 15)", "softcap(head, 16)"))
    rewritten(trained)
    with pytest.raises(Fault, match=r"writes source [0-9a-f]{12} for .*, which was trained as [0-9a-f]{12}"):
        read_artefact(trained)


def test_another_draw_of_a_dial_is_refused(write_run, looped, told, tmp_path):
    """It stands in no line of the source."""
    folder = execute(write_run(looped), tmp_path / "runs", told[0]) / "base"
    path = folder / "model.toml"
    path.write_text(path.read_text().replace("sigma = 0.5", "sigma = 0.25"))
    rewritten(folder)
    with pytest.raises(Fault, match=r"the dials of .* come out as [0-9a-f]{12}, and .* as [0-9a-f]{12}"):
        read_model(folder)


class Writes:
    """What a pickle may do: anything. This one writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def pickles(mark: Path) -> dict[str, bytes]:
    saved, old = io.BytesIO(), io.BytesIO()
    torch.save({"a": Writes(mark)}, saved)
    torch.save({"a": Writes(mark)}, old, _use_new_zipfile_serialization=False)
    plain = {f"protocol {n}": pickle.dumps(Writes(mark), protocol=n) for n in range(6) if n != 1}
    return {**plain, "torch": saved.getvalue(), "torch of old": old.getvalue()}


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
@pytest.mark.parametrize("hidden", [False, True], ids=["alone", "with its manifest"])
def test_a_pickle_in_place_of_any_file_is_refused_and_runs_nothing(trained: Path, name: str, hidden: bool):
    mark = trained.parent / "ran"
    for content in pickles(mark).values():
        (trained / name).write_bytes(content)
        if hidden:
            rewritten(trained)
        with pytest.raises(Fault, match=f"{name}` is .*a pickle can run code as it is read") as caught:
            read_artefact(trained)
        assert "nanogen import" in caught.value.help
    assert not mark.exists()


def test_a_pickle_for_a_manifest_or_beside_the_files_is_refused(trained: Path):
    mark = trained.parent / "ran"
    for name in ("optimizer.pt", "notes.txt"):
        (trained / name).write_bytes(pickles(mark)["protocol 4"])
        with pytest.raises(Fault, match=f"{name}` is not listed in the manifest, and is a pickle"):
            read_artefact(trained)
        (trained / name).unlink()
    (trained / "manifest.json").write_bytes(pickles(mark)["protocol 4"])
    with pytest.raises(Fault, match=r"manifest\.json` is a pickle of protocol 4"):
        read_artefact(trained)
    assert not mark.exists()


def test_a_file_beside_is_told_of_and_not_read(trained: Path, told):
    (trained / "notes.md").write_text("mine")
    read_artefact(trained, tell=told[0])
    assert "notes.md` is not listed in the manifest, and is not read" in told[1].getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"set": None},
        {"set": {"depth": "1e9999"}},
        {"set": {"depth": -5}},
        {"set": {"depth": {"a": []}}},
        {"set": {"depth": 2**62}},
        {"used": {"std/attention.toml": 7}},
        {"used": []},
        {"source_sha256": 5},
        {"tokenizer_sha256": {}},
        {"blueprint": []},
        {"blueprint": {"vocab": "many"}},
    ],
    ids=str,
)
def test_facts_of_other_kinds_are_one_fault(trained: Path, change: dict):
    facts = json.loads((trained / "model.json").read_text())
    (trained / "model.json").write_bytes(to_json(facts | change))
    rewritten(trained)
    with pytest.raises(Fault):
        read_artefact(trained)


@pytest.mark.parametrize(
    "content", [b"[" * 10**5, b'{"set": NaN}', b"[]", b"{}", b"\xff\xfe", b'{"set": 1e999}']
)
@pytest.mark.parametrize("name", ["model.json", "tokenizer.json"])
def test_hostile_json_is_one_fault(trained: Path, name: str, content: bytes):
    (trained / name).write_bytes(content)
    rewritten(trained)
    with pytest.raises(Fault, match=name):
        read_artefact(trained)


def test_a_hostile_header_of_weights_is_one_fault(trained: Path):
    (trained / "weights.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    rewritten(trained)
    with pytest.raises(Fault, match=r"weights\.safetensors` cannot be read as safetensors"):
        read_artefact(trained)


def test_weights_of_another_model_are_refused(trained: Path):
    save_file({"a": torch.ones(2)}, trained / "weights.safetensors")
    rewritten(trained)
    with pytest.raises(Fault, match="do not pair up with the model"):
        read_artefact(trained)
