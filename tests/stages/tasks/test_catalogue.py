"""Names of tasks, and what is known of each before it is made."""

import pytest

from stages.data.place import DataPlace
from stages.tasks.catalogue import make_task, task_entry


@pytest.mark.parametrize("name", ["identity", "spelling_bee", "simple_spelling", "arithmetic"])
def test_the_catalogue_says_the_kind_of_a_task_before_it_is_made(name, tmp_path):
    facts = tmp_path / "facts.toml"
    facts.write_text('name = "A"\nmaker = "B"\n')
    given = {"path": str(facts)} if name == "identity" else {}
    assert make_task(name, "train", DataPlace.here(), rows=3, **given).kind == task_entry(name).kind
