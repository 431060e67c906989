"""`nanogen import` as people call it: what is printed, and the exit code."""

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from nanogen.cli import cli
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
