"""Values as people and as JSON have them."""

import pytest

from stages.runfile.origin import plain, shown
from stages.tasks.mixture import TaskSetting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (4096, "4,096"),
        (0.1 + 0.2, "0.3"),
        (2.5e6, "2,500,000"),
        (3.0, "3"),
        (1e-10, "1e-10"),
        ("auto", '"auto"'),
        (None, "None"),
    ],
)
def test_a_value_reads_as_people_write_it(value, text):
    assert shown(value) == text


def test_settings_within_settings_are_what_is_said_of_them():
    tasks = (TaskSetting("gsm8k", split="test"), TaskSetting("arithmetic"))
    assert plain({"tasks": tasks}) == {"tasks": [{"task": "gsm8k", "split": "test"}, {"task": "arithmetic"}]}
