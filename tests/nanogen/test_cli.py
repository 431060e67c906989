"""The command line as people use it: what is printed, where, and the exit code. 0 clean, 1 a fault, 2 usage."""

import json
import re
import shlex
import shutil
from itertools import product
from pathlib import Path

import click
import pytest

from nanogen import cli
from nanogen.answers.flops import decoding_per_token, training_per_token
from nanogen.cli import COMMANDS, main
from nanogen.compiler import compile_file
from tests.stages.watching.folders import make_open

BAD = Path(__file__).parent / "bad"
GOOD = Path(__file__).parent / "good"
SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture
def nanogen(capsys, monkeypatch):
    """A function from arguments to exit code, output and error output; no user's fault shows a traceback."""

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["nanogen", *args])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        code = stop.value.code or 0
        assert "Traceback" not in out + err or code == 70
        return int(code), out, err

    return run


def test_help_lists_every_command(nanogen):
    code, out, _ = nanogen("--help")
    assert code == 0
    for name, (_, line) in COMMANDS.items():
        assert name in out
        assert line in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(nanogen, name):
    code, out, _ = nanogen(name, "--help")
    assert code == 0
    assert out.startswith(f"Usage: nanogen {name}")
    assert f"  nanogen {name} " in out
    assert nanogen(name, "-h")[1] == out


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_a_screen_of_sentences(nanogen, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    lines = nanogen(*([name] if name else []), "--help")[1].splitlines()
    assert len(lines) <= (46 if name else 50)
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines[2:]).split())
    assert text.index(". ") < 200, "the first sentence says what it does"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_sentence(name):
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help
            assert option.help[0].isupper() or option.help[0].isdigit(), option.help
            assert option.help.endswith("."), option.help


def examples(name: str) -> list[str]:
    """The lines of a command's help that call it, without what a shell adds."""
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    found = re.findall(rf"^ *nanogen ({name}\b.*)$", command.help or "", re.MULTILINE)
    return [line.split(" > ")[0] for line in found]


WITH_TORCH = (
    "compile",
    "import",
    "data",
    "fetch",
    "run",
    "clean",
    "verify",
    "report",
    "sample",
    "chat",
    "serve",
    "track",
    "bench",
    "profile",
    "doctor",
)  # or with what nobody has at hand
EXAMPLES = [line for name in COMMANDS if name not in WITH_TORCH for line in examples(name)]


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_works_as_it_stands(nanogen, line, tmp_path, monkeypatch):
    (tmp_path / "specs").symlink_to(SPECS)
    for name in ("my_model", "old", "new"):
        shutil.copy(SPECS / "nanochat_2025.toml", tmp_path / f"{name}.toml")
    for run, stage in product(("quickstart", "other"), ("base", "rl")):
        make_open(tmp_path / "runs" / run, stage, steps=3, reward=0.5 if stage == "rl" else None)
    monkeypatch.chdir(tmp_path)
    code, out, err = nanogen(*shlex.split(line))
    assert (code, err) == (0, "")
    assert out or "--json" in line  # a line a fault, and here is none


def test_version(nanogen):
    code, out, _ = nanogen("--version")
    assert (code, out[:7]) == (0, "nanogen")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["chek", "x"], "there is no command `chek`; did you mean `check`?"),
        (["check"], "Missing argument"),
        (["check", "--what", "x"], "No such option"),
        (["flops", "nanochat_2025", "--tokens", "0"], "--tokens"),
        (["check", "nanochat_2025", "--set", "depth"], "is not NAME=VALUE"),
        (["check", "nanochat_2025", "--set", "depth=twelve"], "`twelve` is not a TOML value"),
        (["flops", "nanochat_2025", "--set", "depth=\udcff"], "is not NAME=VALUE"),
        (["check", "nanochat_2025", "--set", "depth=3", "--set", "depth=3"], "`depth` is given twice"),
    ],
)
def test_wrong_usage_is_2(nanogen, args, message):
    code, out, err = nanogen(*args)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("command", ["check", "flops", "compile"])
@pytest.mark.parametrize("name", ["nosuch", "", ".", "~nobody/x", "x" * 5000, str(BAD)])
def test_a_name_that_is_no_file_is_1(nanogen, command, name):
    code, out, err = nanogen(command, name)
    assert (code, out) == (1, "")
    assert err.startswith("error[NG001]: ")
    assert " = help: " in err


# -- check


def test_check_of_clean_files(nanogen):
    assert nanogen("check", "saint_iberis_d20") == (0, "1 file read, no faults\n", "")
    code, out, err = nanogen("check", "nanochat_2025", str(GOOD / "gpt2.toml"), "saint_iberis_jp")
    assert (code, out, err) == (0, "3 files read, no faults\n", "")


def test_check_takes_overrides(nanogen):
    assert nanogen("check", "nanochat_2025", "--set", "depth=12")[0] == 0
    code, _, err = nanogen("check", "saint_iberis_d20", "--set", "depth=12")
    assert code == 1
    assert "error[NG324]" in err


def test_check_tells_of_every_file(nanogen):
    names = [str(BAD / f"{n}.toml") for n in ("NG301-uneven-split", "NG002-unclosed-string")]
    code, out, err = nanogen("check", *names, "nosuch", "nanochat_2025")
    assert (code, out) == (1, "")
    assert [line[:12] for line in err.split("\n") if line.startswith("error")] == [
        "error[NG301]", "error[NG002]", "error[NG001]",
    ]  # fmt: skip
    assert err.endswith("4 files read, 3 errors\n`nanogen explain NG301` says more\n")
    assert f"--> {names[0]}:12:24" in err


def test_warnings_are_no_failure(nanogen):
    code, _, err = nanogen("check", str(BAD / "NG403-division-leaves-rest.toml"))
    assert code == 0
    assert err.startswith("warning[NG403]: 768 // 10 leaves a rest of 8\n")
    assert err.endswith("1 file read, 1 warning\n`nanogen explain NG403` says more\n")
    assert nanogen("check", str(BAD / "NG403-division-leaves-rest.toml"), "--strict")[0] == 1
    assert nanogen("check", "nanochat_2025", "--strict")[0] == 0


def test_json_lines(nanogen):
    name = str(BAD / "NG301-uneven-split.toml")
    code, out, err = nanogen("check", name, "nosuch", "--json")
    assert (code, err) == (1, "")
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["code"], first["file"], first["line"], first["column"]) == ("NG301", name, 12, 24)
    assert (second["code"], second["line"]) == ("NG001", 1)
    assert nanogen("check", "nanochat_2025", "--json") == (0, "", "")


def test_a_run_file_is_checked_as_one(nanogen, tmp_path):
    assert nanogen("check", "quickstart")[0] == 0
    path = tmp_path / "bad.toml"
    path.write_text('kind = "run"\nmodel = "saint_iberis_tiny"\n[stage.a]\nuses = "datasett"\n')
    code, _, err = nanogen("check", str(path))
    assert code == 1
    assert "error[NG701]" in err
    assert "1 error: nothing was run\n" in nanogen("run", str(path))[2]
    code, _, err = nanogen("flops", str(path))
    assert code == 1
    assert "`nanogen run` takes it" in err


def test_no_colour_in_a_pipe(nanogen):
    assert "\x1b" not in nanogen("check", str(BAD / "NG301-uneven-split.toml"))[2]


# -- flops and compile


def test_a_faulty_spec_is_not_counted(nanogen):
    code, out, err = nanogen("flops", str(BAD / "NG201-unknown-name.toml"))
    assert (code, out) == (1, "")
    assert err.endswith("errors: nothing was compiled\n`nanogen explain NG201` says more\n")


def test_output_that_cannot_be_written(nanogen, monkeypatch):
    monkeypatch.setattr("nanogen.lowering.prove", lambda compiled: None)
    code, _, err = nanogen("compile", "saint_iberis_tiny", "-o", "/no/such/folder/model.py")
    assert code == 1
    assert "error: `/no/such/folder/model.py` cannot be written: no such file or directory" in err


def test_source_is_written(nanogen, tmp_path):
    code, out, _ = nanogen("compile", "saint_iberis_tiny", "-o", str(tmp_path / "model.py"))
    assert code == 0
    assert "the source builds with 5,100,800 parameters, path by path" in out
    assert (tmp_path / "model.py").read_text() == nanogen("compile", "saint_iberis_tiny", "--source")[
        1
    ].rstrip("\n") + "\n"


def test_standalone_source_is_written(nanogen, tmp_path):
    path = tmp_path / "model.py"
    code, _, _ = nanogen("compile", "saint_iberis_tiny", "-o", str(path), "--standalone")
    assert code == 0
    text = path.read_text()
    assert "\nclass Linear(nn.Module):" in text
    assert "\nclass Model(nn.Module):" in text
    assert "from runtime" not in text
    assert nanogen("compile", "saint_iberis_tiny", "--source", "--standalone")[1].rstrip("\n") == text.rstrip(
        "\n"
    )
    code, _, err = nanogen("compile", "saint_iberis_tiny", "--standalone")
    assert (code, "give -o FILE, or --source" in err) == (2, True)


def test_compile_traces_when_asked(nanogen):
    code, out, _ = nanogen("compile", "saint_iberis_tiny", "--set", "depth=2", "--prove")
    assert code == 0
    graph = compile_file(SPECS / "saint_iberis_tiny.toml", {"depth": 2}).graph
    training, step = round(training_per_token(graph, 256) * 256), decoding_per_token(graph, 255)
    assert f"computes {training:,} FLOPs to train on 256 tokens, {step:,} for token 256\n" in out
    assert "computes" not in nanogen("compile", "saint_iberis_tiny", "--set", "depth=2")[1]


# -- what ends a command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RuntimeError("a slip of ours"), 70, "this is a bug in nanogen"),
        (AssertionError("ours too"), 70, "this is a bug in nanogen"),
        (click.Abort(), 130, ""),
        (BrokenPipeError(), 1, ""),
        (click.UsageError("no"), 2, "no"),
    ],
)
def test_ends(nanogen, monkeypatch, error, code, said):
    def fail(*args, **settings):
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    monkeypatch.setattr("os.dup2", lambda *fds: None)
    found, _, err = nanogen("check", "x")
    assert found == code
    assert said in err
