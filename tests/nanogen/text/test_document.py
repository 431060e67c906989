"""Text to values: a fault of the text is one diagnostic, at its place, in the words of the file."""

import pytest

from nanogen.text.document import MAX_CHARACTERS, MAX_DEPTH, parse_document, read_document
from nanogen.text.draw import find


def fault(text: str):
    """The one fault of a text, as (code, line, column) and the diagnostic."""
    document, found = parse_document("spec.toml", text)
    assert len(found) == 1, found
    spot = find(document, found[0].place)
    assert found[0].help
    return (found[0].code, spot.line, spot.column), found[0]


def test_values_are_read():
    document, found = parse_document("a.toml", "a = 1\n[b]\nc = 'd'\n")
    assert found == []
    assert document.data == {"a": 1, "b": {"c": "d"}}
    assert document.name == "a.toml"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a = 1\nq = "linear(x, 8)\nk = 2\n', ("NG002", 2, 5)),
        ("q = 'linear(x)\n", ("NG002", 1, 5)),
        ('a = """one\ntwo\n', ("NG002", 1, 5)),
        ('q = linear(x, 8)"\n', ("NG003", 1, 5)),
        ("q = linear(x, 8)\n", ("NG003", 1, 5)),
        ("width = 64 * depth\n", ("NG003", 1, 9)),
        ("a = \nb = 2\n", ("NG003", 1, 5)),
        ("a = [1, 2\n", ("NG003", 1, 10)),
        ("[model\nx = 1\n", ("NG003", 1, 7)),
        ("a = 1 b = 2\n", ("NG003", 1, 7)),
        ("= 3\n", ("NG003", 1, 1)),
        ("a = 1\nb = 2\na = 3\n", ("NG004", 3, 1)),
        ("[a]\n[b]\n[a]\n", ("NG004", 3, 1)),
        ("t = { a = 1, a = 2 }\n", ("NG004", 1, 1)),
        ("a = 1\n[a.b]\nc = 1\n", ("NG004", 2, 1)),
        ("a = " + "[" * 300 + "]" * 300, ("NG003", 1, 5 + MAX_DEPTH)),
        ("a = " + "[" * 5000, ("NG003", 1, 5 + MAX_DEPTH)),
        ("b = 1\na = " + "9" * 5000, ("NG003", 2, 5)),
        ("\0", ("NG003", 1, 1)),
    ],
)
def test_faults_of_the_text(text, place):
    assert fault(text)[0] == place


def test_an_equation_without_quotes_is_shown_with_them():
    assert fault("q = linear(x, 8)  # queries\n")[1].help == 'write it in quotes: `q = "linear(x, 8)"`'


def test_help_closes_with_the_quote_that_opened():
    assert fault("q = 'linear(x)\n")[1].help == "close it with `'` on the same line"


def test_windows_line_ends_are_line_ends(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b'\xef\xbb\xbfa = 1\r\nb = """x\r\ny"""\r\nc = "open\r\n')
    document, found = read_document(path)
    spot = find(document, found[0].place)
    assert (found[0].code, spot.line, spot.column, spot.text) == ("NG002", 4, 5, 'c = "open')


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'\n")
    (tmp_path / "large.toml").write_text("#" * (MAX_CHARACTERS + 1))
    messages = []
    for name in ("absent.toml", "bytes.toml", "large.toml", "."):
        document, found = read_document(tmp_path / name, name)
        assert [d.code for d in found] == ["NG001"]
        assert document.data == {}
        assert found[0].help
        messages.append(found[0].message)
    assert messages == [
        "there is no file `absent.toml`",
        "`bytes.toml` is not UTF-8 text: byte 6 is none",
        "`large.toml` cannot be read: 250,001 characters, more than the 250,000 of the longest spec",
        "`.` cannot be read: is a directory",
    ]


def test_text_that_is_too_large():
    assert fault("#" * (MAX_CHARACTERS + 1))[0] == ("NG001", 1, 1)


def test_a_document_is_known_by_its_text():
    one, two = (parse_document(name, "a = 1")[0] for name in ("x", "y"))
    assert one.digest == two.digest
    assert one.digest != parse_document("x", "a = 2")[0].digest
