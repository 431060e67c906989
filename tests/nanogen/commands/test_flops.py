"""`nanogen flops` as people use it: what is printed and written, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanogen.cli import main
from nanogen.commands.flops import command
from nanogen.compiler import compile_file

BOTH = ("saint_iberis_d20", "nanochat_2025")
FREE = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 4\ncontext = 8\n[model]\nlogits = "embedding(tokens, 4, 4)"\n'


@pytest.fixture
def flops(capsys, monkeypatch, tmp_path):
    """A function from arguments to exit code, output and error output, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["nanogen", "flops", *args])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(stop.value.code or 0), out, err

    return run


def test_side_by_side(flops):
    code, out, err = flops(*BOTH)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith(BOTH)}
    assert rows["saint_iberis_d20"][1:6] == ["542,035,200", "2,859,048,960", "3.9", "%", "2,969,095,680"]
    assert rows["nanochat_2025"][1:6] == ["560,988,160", "3,177,338,880", "9.9", "%", "3,491,758,080"]


def test_another_depth_and_another_length(flops):
    code, out, _ = flops("nanochat_2025", "--set", "depth=12", "--context", "1024")
    assert code == 0
    assert out.startswith("one row of 1,024 tokens\n")
    assert "185,597,952" in out
    assert flops("nanochat_2025", "--set", "depth=12", "--tokens", "1024") == (0, out, "")


LOOPED = {  # size 20 by looped_nanochat's estimator, and the same with the backward pass cut
    1: (1_671_413_760, 1_671_413_760),
    4: (3_382_272_000, 3_382_272_000),
    8: (5_663_416_320, 4_142_653_440),
    16: (10_225_704_960, 5_663_416_320),
}


def test_a_dial_at_several_numbers(flops):
    code, out, err = flops("looped", "nanochat_2025", "--dial", "r=1,4,8,16")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.startswith(("looped", "nanochat"))]
    assert [row[:4] for row in rows[:4]] == [["looped,", "r", "=", str(r)] for r in LOOPED]
    assert [tuple(int(n.replace(",", "")) for n in row[8:10]) for row in rows[:4]] == list(LOOPED.values())
    assert rows[4][5:7] == ["3,491,758,080", "3,491,758,080"]
    assert flops("looped", "--dial", "r=0")[0] == 1
    assert "goes from 1 to 1,024" in flops("looped", "--dial", "r=4,1025")[2]
    assert "no dial of these specs is called `q`" in flops("looped", "--dial", "q=1")[2]
    assert "leave `--dial` out" in flops("nanochat_2025", "--dial", "r=1")[2]
    assert "one dial at a time" in flops("looped", "--dial", "r=1", "--dial", "q=1")[2]
    merged = flops("looped", "--dial", "r=1,1", "--dial", "r=4")[1]
    assert re.findall(r"looped, r = (\d+)", merged) == ["1", "4"]
    assert flops("looped", "--dial", "r")[0] == 2


def test_json_lines(flops):
    code, out, err = flops(*BOTH, "--json", "--batch", "2", "--budget", "1e18", "--hardware", "dgx_spark")
    assert (code, err) == (0, "")
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["spec"], first["rows"], first["training_flops_per_token"]) == (BOTH[0], 2, 2_859_048_960)
    assert second["budget_hours"] == pytest.approx(1e18 / (125e12 * 0.3) / 3600)
    assert second["budget_dollars"] is None


def test_the_convention_pays_when_asked(flops):
    _, out, _ = flops(
        "nanochat_2025", "--json", "--by", "convention", "--budget", str(21_400 * 2**19 * 3_491_758_080)
    )
    assert json.loads(out)["budget_steps"] == 21_400


def test_csv_printed_and_written(flops):
    code, out, err = flops(*BOTH, "--csv", "-")
    assert (code, err) == (0, "")
    assert out.startswith("spec,name,dials,rows,tokens,parameters,training_flops_per_token,")
    assert len(out.splitlines()) == 3
    code, shown, _ = flops(*BOTH, "--csv", "costs.csv")
    assert code == 0
    assert shown.endswith("wrote costs.csv\n")
    assert Path("costs.csv").read_text() == out


def test_a_plot_is_written(flops):
    code, out, _ = flops(*BOTH, "--plot", "cost.svg")
    assert (code, out.splitlines()[-1]) == (0, "wrote cost.svg")
    assert "<svg" in Path("cost.svg").read_text()


def test_a_match_is_printed_as_a_spec(flops):
    code, out, _ = flops(*BOTH, "--match", "width")
    assert code == 0
    assert "nanochat_2025, width = 1200" in out
    assert "2,840,515,200, -0.648 %" in out
    spec = out[out.index("# nanochat of 2025") :]
    Path("printed.toml").write_text(spec)
    assert compile_file(Path("printed.toml")).graph.dims["width"] == 1200


def test_a_match_is_written_and_nothing_is_overwritten(flops):
    code, out, _ = flops(*BOTH, "--match", "width", "-o", "matched.toml")
    assert (code, out.splitlines()[-1]) == (0, "wrote matched.toml")
    assert "[dims]" not in out
    assert compile_file(Path("matched.toml")).graph.dims["width"] == 1200
    Path("matched.toml").write_text("mine")
    code, out, err = flops(*BOTH, "--match", "width", "-o", "matched.toml")
    assert (code, out) == (1, "")
    assert "error: `matched.toml` is there already, and is left as it is" in err
    assert Path("matched.toml").read_text() == "mine"


def test_a_match_that_cannot_be_is_told_at_its_place(flops):
    code, out, err = flops(*BOTH, "--match", "widht")
    assert (code, out) == (1, "")
    assert err.startswith("error[NG108]: `--match widht` names no dim of this spec")
    assert "did you mean `width`?" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nanochat_2025", "--match", "width"], "`--match` takes two specs"),
        ([*BOTH, "-o", "x.toml"], "`-o` goes with `--match`"),
        ([*BOTH, "--hardware", "h100x8"], "`--hardware` goes with `--budget`"),
        ([*BOTH, "--batch-tokens", "8"], "`--batch-tokens` goes with `--budget`"),
        ([*BOTH, "--by", "parameters"], "`--by parameters` goes with `--match`"),
        ([*BOTH, "--json", "--csv", "-"], "both print"),
        ([*BOTH, "--csv", "nanochat_2025.toml"], "`--csv` ends in .csv"),
        ([*BOTH, "--plot", "cost.pdf"], "`--plot` ends in .svg or .png"),
        ([*BOTH, "--budget", "0"], "0.0 FLOPs buy nothing"),
        ([*BOTH, "--budget", "nan"], "nan FLOPs buy nothing"),
        ([*BOTH, "--budget", "inf"], "inf FLOPs buy nothing"),
        ([*BOTH, "--tokens", "0"], "--tokens"),
    ],
)
def test_wrong_usage_is_2(flops, args, message):
    code, out, err = flops(*args)
    assert (code, out) == (2, "")
    assert message in err


def test_hardware_that_is_none(flops):
    code, _, err = flops(*BOTH, "--budget", "1e18", "--hardware", "h100x9")
    assert code == 1
    assert "error[NG001]" in err
    assert "did you mean `h100x8`?" in err
    code, _, err = flops(*BOTH, "--budget", "1e18", "--hardware", "nanochat_2025")
    assert code == 1
    assert "this is a spec, not hardware" in err
    code, _, err = flops("hardware/h100x8")
    assert (code, err.count("error[")) == (1, 1)
    assert "`nanogen flops --hardware` takes it" in err


@pytest.mark.parametrize(
    "option", [["--budget", "1e18"], ["--plot", "x.svg"], ["nanochat_2025", "--match", "vocab"]]
)
def test_what_costs_nothing_is_neither_bought_nor_drawn(flops, option):
    Path("free.toml").write_text(FREE)
    assert flops("free.toml")[0] == 0
    code, out, err = flops("free.toml", *option)
    assert (code, out) == (1, "")
    assert "`free.toml` costs no FLOPs to train" in err


def test_a_file_that_cannot_be_written(flops):
    for option in (["--csv", "no/such/x.csv"], ["--plot", "no/such/x.svg"]):
        code, _, err = flops(*BOTH, *option)
        assert code == 1
        assert "no such file or directory" in err


def test_every_option_is_explained():
    shown = CliRunner().invoke(command, ["--help"]).output
    for parameter in command.params[1:]:
        assert getattr(parameter, "help", None), parameter.name
        assert parameter.opts[0] in shown
