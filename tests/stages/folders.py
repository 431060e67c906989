"""Small data sets in the layouts of the real ones, and where the real ones lie."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
with_data = pytest.mark.skipif(not DATA.exists(), reason="the data folder is not here")

GSM8K = {"question": "3 bags of 4?", "answer": "So <<3*4=12>>12 apples, <<1000=1,000>>1,000.\n#### 1,012"}
ARC = {
    "id": "1",
    "question": "Light?",
    "choices": {"text": ["lamp", "stone", "fog"], "label": ["A", "B", "C"]},
    "answerKey": "B",
}
MMLU = {"question": "3 x 4?", "subject": "maths", "choices": ["7", "12", "34", "1"], "answer": 1}
HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'import math\nfrom typing import List\n\ndef twice(x):\n    """Twice x."""\n',
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    "entry_point": "twice",
}
JCQ = {"q_id": 1, "question": "夜空？", **{f"choice{n}": w for n, w in enumerate("星机靴鍋本")}, "label": 2}
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


def parquet(folder: Path, rows: list[dict[str, Any]], *, files: int = 1, manifest: bool = True) -> Path:
    """A split as parquet files, cut into row groups of two."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:05d}.parquet" for number in range(files)]
    size = -(-len(rows) // files)
    for number, name in enumerate(names):
        table = pa.Table.from_pylist(rows[number * size : (number + 1) * size])
        pq.write_table(table, folder / name, row_group_size=2)
    if manifest:
        (folder / "manifest.json").write_text(json.dumps(names))
    return folder


def lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return path


def numbered(row: dict[str, Any], rows: int) -> list[dict[str, Any]]:
    """The row several times, with questions that tell them apart."""
    key = "prompt" if "prompt" in row else "question"
    return [{**row, key: f"{number} {row[key]}"} for number in range(rows)]


def fill(top: Path) -> Path:
    """Each data set with five rows, where NANOGEN_DATA would have it."""
    tasks = top / "task_data"
    parquet(tasks / "openai--gsm8k/main/train", numbered(GSM8K, 5), files=2)
    parquet(tasks / "openai--gsm8k/main/test", numbered(GSM8K, 5))
    parquet(tasks / "allenai--ai2_arc/ARC-Easy/test", numbered(ARC, 5))
    parquet(tasks / "allenai--ai2_arc/ARC-Challenge/test", numbered(ARC, 5))
    parquet(tasks / "cais--mmlu/all/test", numbered(MMLU, 5))
    parquet(tasks / "cais--mmlu/all/auxiliary_train", numbered(MMLU, 5))
    parquet(tasks / "openai--openai_humaneval/openai_humaneval/test", [HUMANEVAL])
    parquet(tasks / "HuggingFaceTB--smol-smoltalk/default/train", [{"messages": TALK}] * 5)
    parquet(tasks / "RikkaBotan--Cute_Synthetic_smoltalk_jp_sft/default/train", [{"messages": TALK}] * 5)
    return top
