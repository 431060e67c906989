"""`tokenizer_eval`: a tokenizer -> bytes a token on texts of many kinds, beside those of published encodings.

It measures on the start of both splits, on texts of eight kinds that ship, and on files that the run names. Another
encoding that is not on this machine is "not run", with its reason; nothing is fetched unless `download` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from nanogen.structure import Count
from nanogen.text.diagnostics import nearest
from runtime.faults import Fault
from stages.choices import place, positive, quiet, setting
from stages.data.needs import PublishedEncoding, Wish
from stages.evaluating.compression import Encoding, Result, Text, measure, not_run
from stages.runfile.unread import Idle
from stages.sources.files import file_facts

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from stages.runfile.rehearsal import Small
    from stages.work import Work

READS = ("dataset", "tokenizer")
VERSION = 1
MODEL = False
SEED = False
SAMPLES = Path(__file__).with_name("sample_texts.toml")


@frozen
class Settings:
    characters: Count = setting(
        "how much of each split and file to measure on at most", default=Count(1_000_000), validator=positive
    )
    # what counts is the content, not where it lies
    files: tuple[str, ...] = place(
        "text files to measure on too, counting from the run file or NANOGEN_DATA", default=()
    )
    against: tuple[str, ...] = setting(
        "encodings to compare with, by tiktoken's names", default=("gpt2", "cl100k_base")
    )
    download: bool = quiet("fetch the encodings that are not here, as the run begins", default=False)


def idle(settings: Settings) -> Idle:
    none = not settings.against
    return {"download": ("`against` names no encoding", "leave it out")} if none else {}


def check(settings: Settings, compiled: Compiled | None) -> None:
    from stages.evaluating.encodings import known

    for name in settings.against:
        if name not in known():
            message = f"`against` names `{name}`, and tiktoken has no such encoding"
            raise Fault(message, nearest(name, known()))
    _once("against", settings.against)
    _once("files", [Path(file).name for file in settings.files])
    for file in settings.files:
        read_file(Path(file))


def _once(setting: str, names: Sequence[str]) -> None:
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise Fault(f"`{setting}` names `{name}` {count} times", "figures are told by name: give each once")


def rehearsal(settings: Settings, small: Small) -> Settings:
    return evolve(settings, characters=min(settings.characters, small.characters), download=False)


def outside(settings: Settings) -> dict[str, Any]:
    """The texts by size and hash, and the encodings that have to be left out."""
    from stages.evaluating.encodings import out_of_reach

    return {
        "samples": file_facts(SAMPLES),
        "files": [(Path(file).name, *file_facts(Path(file))) for file in settings.files],
        "left_out": [] if settings.download else out_of_reach(settings.against),
    }


def needs(settings: Settings) -> list[Wish]:
    return [Wish(PublishedEncoding(name), settings.download, optional=True) for name in settings.against]


def run(work: Work) -> None:
    from runtime.tokenizer import Tokenizer
    from stages.evaluating.compression_table import MEANING, against, missing, ran, speed

    settings: Settings = work.settings
    tokenizer = Tokenizer.load(work.input("tokenizer").folder / "tokenizer.json")
    texts = [*_splits(work.input("dataset").folder, settings.characters), *samples(), *_files(settings)]
    mine = Encoding(work.input("tokenizer").name, tokenizer.vocab, tokenizer.encode, tokenizer.decode_bytes)
    result: Result = {
        "vocab": tokenizer.vocab,
        "digest": tokenizer.digest,
        "texts": [text.facts() for text in texts],
        "encodings": [
            measure(mine, texts),
            *(_other(name, texts, download=settings.download) for name in settings.against),
        ],
    }
    work.tell.block(against(result))
    if len(ran(result)) > 1:
        work.tell.line(MEANING)
    for name, why in missing(result):
        work.tell.line(f"{name}: {why}")
    work.tell.line(f"encoding {speed(result)}")
    work.finish(result)


def _splits(corpus: Path, characters: int) -> Iterator[Text]:
    from runtime.corpus import TRAIN, VALIDATION, read_documents

    for split in (TRAIN, VALIDATION):
        documents = (text for _, text in read_documents(corpus, split))
        yield Text(split, tuple(cut(documents, characters)))


def cut(documents: Iterable[str], characters: int) -> Iterator[str]:
    """The documents up to so many characters, the last one cut there."""
    left = characters
    for document in documents:
        yield document[:left]
        left -= len(document)
        if left <= 0:
            return


def samples() -> list[Text]:
    """The texts that ship."""
    import tomli

    found = tomli.loads(SAMPLES.read_text(encoding="utf-8"))
    return [Text(name, (table["text"],)) for name, table in found.items()]


def _files(settings: Settings) -> list[Text]:
    paths = map(Path, settings.files)
    return [Text(path.name, tuple(cut([read_file(path)], settings.characters))) for path in paths]


def read_file(path: Path) -> str:
    """The text of a file, line ends as they are; raises Fault where there is none."""
    if not path.is_file():
        raise Fault(f"`files`: there is no file `{path}`", "check the path; it counts from the run file")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fault(f"`files`: `{path}` is not UTF-8: byte {error.start:,} fits no character") from None
    if not text:
        raise Fault(f"`files`: `{path}` is empty")
    return text


def _other(name: str, texts: Sequence[Text], *, download: bool) -> Result:
    """The figures of a published encoding, or why there are none."""
    from runtime.tokenizer import digestible
    from stages.evaluating.encodings import load

    try:
        found = load(name, download=download)
    except Fault as fault:
        return not_run(name, fault.message)

    def encode(text: str) -> list[int]:
        return [token for piece in digestible(text) for token in found.encode_ordinary(piece)]

    return measure(Encoding(name, found.n_vocab, encode, found.decode_bytes), texts)
