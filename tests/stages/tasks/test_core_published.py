"""What a bundle ships of published models is read, and gives their CORE by the centring that is ours."""

from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.evaluating.accuracy import centred
from stages.tasks.core import read_bundle
from stages.tasks.core_published import read_published
from tests.stages.folders import DATA

HEAD = "Task          , Accuracy  , Centered  \n"
BUNDLE = DATA / "eval_bundle"
SHIPPED = sorted(path for path in BUNDLE.glob("*.csv") if path.name != "eval_meta_data.csv")


def test_accuracies_are_read_and_other_tables_are_left(tmp_path: Path):
    (tmp_path / "gpt2.csv").write_text(HEAD + "mops , 0.750000 , 0.5\ntowns , 0.25 , 0.25\nCORE , , 0.375\n")
    (tmp_path / "eval_meta_data.csv").write_text("Eval Task,Random baseline\nmops,50\n")
    (tmp_path / "empty.csv").write_text("")
    assert read_published(tmp_path) == {"gpt2": {"mops": 0.75, "towns": 0.25}}
    assert read_published(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("row", ["mops , three , 0", "mops", "mops , 75 , 50"])
def test_a_table_of_something_else_is_a_fault(tmp_path: Path, row: str):
    (tmp_path / "gpt2.csv").write_text(f"{HEAD}{row}\n")
    with pytest.raises(Fault, match=r"gpt2\.csv"):
        read_published(tmp_path)


@pytest.mark.skipif(not SHIPPED, reason="no bundle with published models is here")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_published_cores_follow_from_what_the_bundle_ships(path: Path):
    shares = read_published(BUNDLE)[path.stem]
    found = [centred(shares[task.label], task.baseline) for task in read_bundle(BUNDLE).tasks]
    [stated] = [line.split(",")[2] for line in path.read_text().splitlines() if line.startswith("CORE")]
    assert sum(found) / len(found) == pytest.approx(float(stated), abs=2e-6)
