"""`nanogen import` as people call it: what is printed, and the exit code."""

import os
import re

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from nanogen.cli import cli, main
from runtime.manifest import FORMAT
from tests.nanogen.published import spec, tensors


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(spec())
    return tmp_path


def call(*args: str):
    return CliRunner().invoke(cli, ["import", "small.toml", *args])


def test_an_import_says_what_it_did(here):
    save_file(
        {f"_orig_mod.{n}": t.bfloat16() for n, t in tensors(depth=2).items()}, here / "model.safetensors"
    )
    done = call("model.safetensors", "-o", "made", "--set", "depth=2")
    assert done.exit_code == 0, done.output
    for wanted in (
        "table: theirs",
        "995 parameters filled from 16 tensors, 3.89 KiB",
        "1 tensor ignored: rotary.inv_freq",
    ):
        assert wanted in done.output
    assert (here / "made" / "manifest.json").is_file()


def test_faults_are_drawn_at_their_lines(here):
    save_file({**tensors(), "wte.weight": torch.ones(12, 8)}, here / "model.safetensors")
    done = call("model.safetensors", "-o", "made")
    assert done.exit_code == 1
    assert "error[NG513]: `embed.weight` has shape 11 x 8, and `wte.weight` has 12 x 8" in done.output
    assert "small.toml:26:27" in done.output
    assert "1 error: nothing was imported" in done.output
    assert not (here / "made").exists()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_not_finite_are_refused(here, number):
    damaged = tensors()
    damaged["wte.weight"] = damaged["wte.weight"].double()
    damaged["wte.weight"][3, 1] = number
    save_file(damaged, here / "model.safetensors")
    done = call("model.safetensors", "-o", "made")
    assert done.exit_code == 1
    assert "error[NG515]: `wte.weight` gives `embed.weight` numbers that are not finite" in done.output
    assert not (here / "made").exists()


def test_a_pickled_checkpoint_comes_in(here):
    torch.save({f"_orig_mod.{n}": t for n, t in tensors().items()}, here / "model_000650.pt")
    done = call("model_000650.pt", "-o", "made")
    assert done.exit_code == 0, done.output
    assert "reading the tensors of model_000650.pt in a process of its own" in done.output
    assert (here / "made" / "manifest.json").is_file()


class Runs:
    """What a hostile pickle does."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture
def whole(here, capsys, monkeypatch):
    """The command line from its start, which tells a fault: exit code, and all that was said on one line."""

    def run(*args: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["nanogen", *args])
        with pytest.raises(SystemExit) as stop:
            main()
        said = " ".join("".join(capsys.readouterr()).split())
        assert "Traceback" not in said
        return int(stop.value.code or 0), said

    return run


def test_a_pickle_that_wants_more_is_one_message(here, whole):
    torch.save({**tensors(), "x": Runs()}, here / "model.pt")
    code, said = whole("import", "small.toml", "model.pt", "-o", "made")
    assert code == 1
    assert "`model.pt` does not come in: it asks for `posix.mkdir`, which is code" in said
    assert sorted(p.name for p in here.iterdir()) == ["model.pt", "small.toml"]


@pytest.mark.parametrize("command", ["sample", "chat", "serve"])
@pytest.mark.parametrize("given", ["model.pt", "."], ids=["file", "folder"])
def test_a_checkpoint_where_a_model_belongs_says_how_it_comes_in(here, whole, command, given):
    torch.save(tensors(), here / "model.pt")
    code, said = whole(command, given)
    assert code == 1
    assert "model.pt` is a zip archive, as `torch.save` writes one around a pickle" in said
    assert "nanogen import SPEC FILE" in said


@pytest.mark.parametrize("command", ["sample", "chat", "serve"])
def test_a_byte_that_turned_is_one_message_with_both_hashes(here, whole, command):
    save_file(tensors(), here / "model.safetensors")
    assert whole("import", "small.toml", "model.safetensors", "-o", "made")[0] == 0
    path = here / "made" / "model.toml"
    path.write_text(path.read_text() + " ")
    code, said = whole(command, "made")
    assert code == 1
    assert re.search(
        "model.toml` is not the file of its manifest: [0-9a-f]{12} found, [0-9a-f]{12} recorded", said
    )


def test_a_folder_of_a_newer_nanogen_is_said_to_be(here, whole):
    save_file(tensors(), here / "model.safetensors")
    assert whole("import", "small.toml", "model.safetensors", "-o", "made")[0] == 0
    path = here / "made" / "manifest.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'))
    code, said = whole("sample", "made")
    assert code == 1
    assert f"was written by a newer nanogen: format {FORMAT + 1}; this one reads up to {FORMAT}" in said
