"""Sources of documents: what they take, what they leave, and what they say of a bad file."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.faults import Fault
from stages.sources import python_docs, rows, text
from stages.sources.unique import unique

LONG = "This sentence is long enough to be kept as a docstring, which takes eighty characters or more"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# -- unique ---------------------------------------------------------------------------------------


def test_blank_and_repeated_documents_are_dropped():
    assert list(unique(["a", "", " \n", "b", "a", "\ud800"])) == ["a", "b", "\ud800"]


# -- text -----------------------------------------------------------------------------------------


def test_a_document_is_a_file_and_files_come_by_name(tmp_path: Path):
    write(tmp_path / "b.txt", "second")
    write(tmp_path / "a/x.md", "\ufefffirst")
    write(tmp_path / "c.py", "not text")
    assert list(text.documents([tmp_path])) == ["first", "second"]
    assert list(text.documents([tmp_path / "b.txt"])) == ["second"]


def test_long_files_are_cut_at_blank_lines_and_nothing_is_lost(tmp_path: Path):
    paragraphs = [f"paragraph {number}\nof two lines" for number in range(50)] + ["x" * 300]
    write(tmp_path / "a.txt", "\n \n".join(paragraphs))
    documents = list(text.documents([tmp_path], longest=100))
    assert "\n\n".join(documents).split("\n\n") == paragraphs
    assert [len(document) <= 100 for document in documents] == [True] * (len(documents) - 1) + [False]
    assert all(len(document) > 60 for document in documents[:-2])


def test_a_text_that_is_not_utf8_is_a_fault(tmp_path: Path):
    write(tmp_path / "a.txt", "caf\u00e9".encode("latin-1"))
    with pytest.raises(Fault, match=r"`.*a.txt` is not UTF-8 at byte 3"):
        list(text.documents([tmp_path]))


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.txt", "no file"), ("", "has no file that ends in"), ("a.pdf", "does not end in")],
)
def test_a_path_that_gives_no_text_is_a_fault(tmp_path: Path, name: str, said: str):
    write(tmp_path / "a.pdf", "x")
    with pytest.raises(Fault, match=said):
        text.documents([tmp_path / name])


# -- rows -----------------------------------------------------------------------------------------


def test_rows_of_jsonl_and_parquet_are_documents(tmp_path: Path):
    write(tmp_path / "a.jsonl", '{"text": "one", "id": 1}\n\n{"text": "\\u65e5"}\n{"text": "one"}')
    pq.write_table(pa.table({"id": [1, 2], "text": ["two", "three"]}), tmp_path / "b.parquet")
    assert list(rows.documents([tmp_path])) == ["one", "日", "two", "three"]


def test_another_column_can_be_named(tmp_path: Path):
    write(tmp_path / "a.jsonl", '{"body": "one"}')
    assert list(rows.documents([tmp_path], column="body")) == ["one"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "row 2 of `.*a.jsonl` is not JSON"),
        (b"\xff\xfe", "row 2 of `.*a.jsonl` is not JSON"),
        ("[" * 100_000, "row 2 of `.*a.jsonl` is not JSON"),
        ("[1]", "row 2 of `.*a.jsonl` is a list, expected an object"),
        ('{"text": null}', "row 2 of `.*a.jsonl` holds nothing in `text`, expected text"),
        ('{"text": 3}', "row 2 of `.*a.jsonl` holds a number in `text`, expected text"),
        ('{"texts": "x"}', "row 2 of `.*a.jsonl` has no column `text`"),
    ],
)
def test_a_bad_row_is_a_fault_that_names_file_and_row(tmp_path: Path, line: str | bytes, said: str):
    raw = line.encode() if isinstance(line, str) else line
    write(tmp_path / "a.jsonl", b'{"text": "one"}\n' + raw)
    with pytest.raises(Fault, match=said):
        list(rows.documents([tmp_path]))


def test_a_missing_column_names_those_there_are(tmp_path: Path):
    write(tmp_path / "a.jsonl", json.dumps({"body": "x", "id": 1}))
    pq.write_table(pa.table({"body": ["x"], "id": [1]}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        with pytest.raises(Fault, match="no column `text`") as caught:
            list(rows.documents([tmp_path / name]))
        assert "`body`, `id`" in caught.value.help


def test_a_parquet_row_without_text_is_a_fault(tmp_path: Path):
    pq.write_table(pa.table({"text": ["one", None]}), tmp_path / "a.parquet")
    with pytest.raises(Fault, match=r"row 2 of `.*a.parquet` holds nothing"):
        list(rows.documents([tmp_path]))


def test_a_broken_parquet_file_is_a_fault(tmp_path: Path):
    pq.write_table(pa.table({"text": ["one"] * 100}), tmp_path / "a.parquet")
    write(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(Fault, match="is not a whole parquet file"):
        list(rows.documents([tmp_path]))


# -- python_docs ----------------------------------------------------------------------------------


def docs(root: Path, **settings) -> list[str]:
    return list(python_docs.documents(roots=[root], **settings))


MODULE = f'''"""{LONG} of a module."""
try:
    class Shape:
        """{LONG} of a class."""

        def area(self):
            """{LONG} of a method.

                indented

            >>> Shape().area()
            12

            The end."""
            def inner():
                """{LONG} of an inner function."""
except ImportError:
    async def late():
        """{LONG} of a coroutine."""

def short():
    """Short."""

x = """{LONG} of no docstring."""
raise SystemExit("imported")
'''


def test_docstrings_come_in_file_order_under_their_names(tmp_path: Path):
    write(tmp_path / "pack/shapes.py", MODULE)
    assert docs(tmp_path) == [
        f"pack.shapes\n\n{LONG} of a module.\n\n"
        f"pack.shapes.Shape\n\n{LONG} of a class.\n\n"
        f"pack.shapes.Shape.area\n\n{LONG} of a method.\n\n    indented\n\nThe end.\n\n"
        f"pack.shapes.late\n\n{LONG} of a coroutine."
    ]


def test_a_package_is_named_without_init(tmp_path: Path):
    write(tmp_path / "pack/__init__.py", f'"""{LONG}"""')
    assert docs(tmp_path) == [f"pack\n\n{LONG}"]


def test_an_empty_heading_goes_with_its_session(tmp_path: Path):
    write(
        tmp_path / "a.py",
        f'"""{LONG}\n\nExamples\n--------\n>>> 1\n1\n\nNotes\n-----\nA note.\n\nExample::\n"""',
    )
    assert docs(tmp_path) == [f"a\n\n{LONG}\n\nNotes\nA note."]


def test_a_docstring_comes_once(tmp_path: Path):
    write(tmp_path / "a.py", f'"""{LONG}"""')
    write(tmp_path / "b.py", f'"""{LONG}"""\ndef f():\n    """{LONG}!"""')
    assert "".join(docs(tmp_path)).count(LONG) == 2


def test_what_is_no_language_is_left_out(tmp_path: Path):
    write(tmp_path / "a.py", '"""' + "+---+---+\n| 1 | 2 |\n" * 20 + '"""')
    assert docs(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [f'"""{LONG}"""\ndef (', f'"""{LONG}"""\n\0', b'"""\xff\xfe"""', "x = " + "(" * 5000 + '"""'],
)
def test_files_that_python_cannot_read_are_skipped(tmp_path: Path, content: str | bytes):
    write(tmp_path / "a.py", content)
    write(tmp_path / "b.py", f'"""{LONG}"""')
    assert docs(tmp_path) == [f"b\n\n{LONG}"]


@pytest.mark.filterwarnings("error")
def test_invalid_escapes_do_not_warn(tmp_path: Path):
    write(tmp_path / "a.py", f'"""{LONG} \\d"""')
    assert docs(tmp_path) == [f"a\n\n{LONG} \\d"]


def test_tests_and_nested_site_packages_are_skipped(tmp_path: Path):
    for folder in ("tests", "pack/test", "site-packages/pack", "__pycache__"):
        write(tmp_path / folder / "a.py", f'"""{LONG} in {folder}"""')
    assert docs(tmp_path) == []


def test_long_modules_are_cut_between_docstrings(tmp_path: Path):
    functions = [f'def f{number}():\n    """{LONG} {number}"""' for number in range(30)]
    write(tmp_path / "a.py", "\n".join(functions))
    parts = docs(tmp_path, longest=500)
    assert len(parts) > 5
    assert all(len(part) <= 500 for part in parts)
    assert "\n\n".join(parts) == docs(tmp_path, longest=100_000)[0]


def test_a_limited_corpus_is_a_sample_of_all_packages(tmp_path: Path):
    for number in range(300):
        write(tmp_path / f"pack{number:03d}/a.py", f'"""{LONG} {number:03d}"""')
    whole = docs(tmp_path)
    sample = docs(tmp_path, characters=sum(map(len, whole)) // 10)
    assert len(sample) == 30
    assert sample == whole[:30]
    assert sorted(sample) != sorted(whole)[:30]


def test_the_roots_are_those_of_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "lib/a.py", f'"""{LONG} a"""')
    write(tmp_path / "lib/site-packages/b.py", f'"""{LONG} b"""')
    places = {"stdlib": tmp_path / "lib", "purelib": tmp_path / "lib/site-packages"}
    places["platlib"] = places["purelib"]
    monkeypatch.setattr("sysconfig.get_paths", lambda: {kind: str(path) for kind, path in places.items()})
    assert sorted(python_docs.documents()) == [f"a\n\n{LONG} a", f"b\n\n{LONG} b"]


def test_markup_goes_and_what_it_marks_stays(tmp_path: Path):
    text = "Call :meth:`~a.Plot.show` with ``x`` or `y`_, see :ref:`the guide <guide>` of the plots.\n\nNotes\n-----\n"
    text += (
        ".. versionadded:: 1.2\n\nNothing else is said of it here, and that is well enough for a test of it."
    )
    (tmp_path / "a.py").write_text(f'"""{text}"""')
    (document,) = python_docs.documents(roots=[tmp_path])
    assert "Call a.Plot.show with x or y, see the guide of the plots.\n\nNotes\n\nNothing else" in document
