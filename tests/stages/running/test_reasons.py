"""A change is named: what, from what to what, and on which line of which file."""

from pathlib import Path

import pytest

from nanogen.shelf import shelf
from stages.running.runner import execute
from stages.running.survey import DONE, STALE, survey


@pytest.fixture
def done(write_run, told, tmp_path) -> Path:
    return execute(write_run(), tmp_path / "runs", told[0])


def why(run, folder: Path) -> dict[str, list[str]]:
    """Reasons by stage, of those that are stale."""
    found = survey(run, folder)
    assert {f.state for f in found} <= {DONE, STALE}
    return {f.stage.name: [str(r) for r in f.reasons] for f in found if f.state == STALE}


def line_of(run, text: str) -> str:
    lines = run.document.text.split("\n")
    return f"small.toml:{next(n for n, line in enumerate(lines, 1) if text in line)}"


def test_another_vocabulary_marks_the_tokenizer_and_all_that_follows(write_run, done):
    run = write_run(("vocab = 300", "vocab = 310"))
    found = why(run, done)
    assert list(found) == ["tokenizer", "base", "evaluation", "report"]
    (reason,) = found["tokenizer"]
    assert reason.startswith("`vocab` 300 -> 310 (")
    assert reason.endswith(f"{line_of(run, 'vocab = 310')})")
    assert found["base"][0] == reason
    assert "it follows `tokenizer`" in found["base"]
    assert found["report"] == ["it follows `tokenizer`, `base` and `evaluation`"]


def test_a_setting_is_named_with_its_line_and_a_default_by_its_table(write_run, done):
    run = write_run(("tokens = 4 }", "tokens = 5 }"))
    found = why(run, done)
    assert list(found) == ["evaluation", "report"]
    assert found["evaluation"][0].startswith("`tokens` 4 -> 5 (")
    assert found["evaluation"][0].endswith(line_of(run, "tokens = 5") + ")")
    run = write_run((", tokens = 4 }", " }"))
    assert why(run, done)["evaluation"][0].startswith("`tokens` 4 -> 120 (")


def test_a_seed_a_text_and_a_need_are_named(write_run, done, texts):
    run = write_run(('kind  = "run"', 'kind = "run"\nseed = 7'))
    assert why(run, done)["base"][0].startswith("`seed` 42 -> 7 (")
    text = texts / "00.txt"
    text.write_text(text.read_text() + "\n\nAnd one paragraph more than there was.")
    assert why(write_run(), done)["corpus"] == ["`00.txt` is another file"]
    text.rename(texts / "99.txt")
    assert why(write_run(), done)["corpus"] == ["`99.txt` is new, `00.txt` is gone"]


def test_an_equation_is_named_by_its_line_and_a_comment_is_nothing(write_run, told, tmp_path):
    spec = tmp_path / "mine.toml"
    spec.write_text((shelf() / "saint_iberis_tiny.toml").read_text())
    own = ('"saint_iberis_tiny"', '"mine"')
    folder = execute(write_run(own), tmp_path / "runs", told[0])
    spec.write_text("# a comment\n" + spec.read_text().replace("\n[dims]", "\n# and another\n[dims]"))
    assert why(write_run(own), folder) == {}
    changed = spec.read_text().replace("silu(", "gelu(").replace("relu_squared(", "relu(")
    assert changed != spec.read_text()
    spec.write_text(changed)
    (reason,) = why(write_run(own), folder)["base"]
    number = next(n for n, line in enumerate(changed.split("\n"), 1) if "gelu(" in line or "relu(" in line)
    assert reason.endswith(f"mine.toml:{number})")
    assert reason.startswith("an equation of the model (")


def test_settings_within_a_list_of_tables_are_named_each_by_its_task():
    from stages.running.reasons import _parts

    then = [{"task": "gsm8k", "rows": 3}, {"task": "arc_easy", "rows": None}]
    now = [{"task": "gsm8k", "rows": 4}, {"task": "arc_easy", "rows": None}]
    assert list(_parts("tasks", then, now)) == [("rows` of `tasks.gsm8k", 3, 4)]
    assert list(_parts("tasks", then, now[:1])) == [("tasks", then, now[:1])]


def test_a_result_without_facts_says_so(write_run, done):
    import json

    from runtime.manifest import read_manifest, write_manifest

    manifest = read_manifest(done / "corpus")
    assert manifest
    kept = {k: v for k, v in manifest.items() if k not in ("files", "format", "facts", "identity")}
    write_manifest(done / "corpus", json.loads(json.dumps(kept)))
    (reason,) = why(write_run(), done)["corpus"]
    assert "did not write down" in reason
