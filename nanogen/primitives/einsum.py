"""`einsum`: any product of values, and any sum over their feature axes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters

from attrs import frozen

from nanogen.load import Flops, Load, Saved, Value
from nanogen.primitives.base import Free, Site, primitive, text, want_numbers
from nanogen.text.diagnostics import Reject

_WRITTEN = "written `'nm,nd->md'`: a letter an axis, a comma between values, `->` before the result"
MOST_LETTERS = len(ascii_letters) - 2  # batch and time have one each


@frozen
class Term:
    """A value with a letter for each of its feature axes."""

    letters: str
    value: Value

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.letters, self.value.axes, strict=True))


@frozen
class Step:
    """Two terms joined: letters that one has alone are summed first, then those that both have."""

    left: Term
    right: Term
    out: Term

    @property
    def sizes(self) -> dict[str, int]:
        return self.left.sizes | self.right.sizes

    def alone(self, term: Term) -> set[str]:
        """Letters that only this term has and the result does not."""
        other = self.right if term is self.left else self.left
        return set(term.letters) - set(other.letters) - set(self.out.letters)

    def summed(self, term: Term) -> Value:
        """The value of a term without the letters that it alone has."""
        return term.value.with_axes(
            *(n for letter, n in term.sizes.items() if letter not in self.alone(term))
        )

    def flops(self, load: Load) -> Flops:
        alone = self.alone(self.left) | self.alone(self.right)
        product = {letter: size for letter, size in self.sizes.items() if letter not in alone}
        count = load.elements(Value(tuple(product.values()), timed=self.out.value.timed))
        sums = sum(load.elements(t.value) for t in (self.left, self.right) if self.alone(t))
        if any(size > 1 and letter not in self.out.letters for letter, size in product.items()):
            return Flops(weights=2 * count, vector=sums)
        return Flops(vector=count + sums)


@primitive("einsum", inputs=("a", "..."))
class Einsum(Free):
    """The product of all values, summed over the axes whose letters the result lacks.

    Values are joined from left to right, two at a time; each join that sums over an axis of both is a matmul,
    and counted as one of weights, whether or not a parameter is among them: none meets another position.
    """

    pattern: str = text("a letter for each axis of each value, and of the result")

    def shape(self, *values: Value) -> Value:
        terms, result = self._read(values)
        sizes: dict[str, int] = {}
        for place, term in enumerate(terms):
            for letter, size in term.sizes.items():
                if sizes.setdefault(letter, size) != size:
                    message = f"`{letter}` is an axis of {sizes[letter]} and an axis of {size}"
                    raise Reject("NG315", message, "axes of one letter have one size", place)
        for letter in result:
            if letter not in sizes:
                message = f"`{letter}` stands in the result and in no value"
                raise Reject("NG315", message, "the result has letters of the values", "pattern")
        axes = tuple(sizes[letter] for letter in result)
        return Value(axes, _dtype(values), any(value.timed for value in values))

    def _read(self, values: tuple[Value, ...]) -> tuple[list[Term], str]:
        """The values with their letters, and the letters of the result."""
        if not re.fullmatch(r"[A-Za-z, ]*->[A-Za-z ]*", self.pattern):
            raise Reject("NG315", f"`{self.pattern}` is no pattern", _WRITTEN, "pattern")
        left, _, result = self.pattern.replace(" ", "").partition("->")
        written = left.split(",")
        if len(written) != len(values):
            found = f"the pattern has {len(written)} value{'s' * (len(written) > 1)}, and {len(values)} "
            raise Reject("NG112", f"{found}{'are' if len(values) > 1 else 'is'} given", _WRITTEN, "pattern")
        for letters in (*written, result):
            twice = [letter for letter in letters if letters.count(letter) > 1]
            if twice:
                message = f"`{twice[0]}` stands twice in `{letters}`"
                raise Reject("NG315", message, "each axis of a value has a letter of its own", "pattern")
        if len(set(left)) > MOST_LETTERS:
            help = "compute it in several equations"
            raise Reject("NG315", f"more than {MOST_LETTERS} letters in one pattern", help, "pattern")
        for place, (letters, value) in enumerate(zip(written, values, strict=True)):
            want_numbers("einsum", value, place)
            if len(letters) != len(value.axes):
                message = f"`{letters}` names {len(letters)} feature axes of a value of shape {value}"
                raise Reject("NG315", message, "a letter for each, batch and time left out", place)
        return [Term(*pair) for pair in zip(written, values, strict=True)], result

    def steps(self, values: tuple[Value, ...]) -> Iterator[Step]:
        """The values joined from left to right."""
        terms, result = self._read(values)
        left = terms[0]
        for place, right in enumerate(terms[1:], start=2):
            needed = set(result).union(*(term.letters for term in terms[place:]))
            kept = "".join(n for n in dict.fromkeys(left.letters + right.letters) if n in needed)
            letters = result if place == len(terms) else kept
            sizes = left.sizes | right.sizes
            axes = tuple(sizes[n] for n in letters)
            out = Term(letters, Value(axes, _dtype(values), left.value.timed or right.value.timed))
            yield Step(left, right, out)
            left = out

    def flops(self, load: Load, out: Value, *values: Value) -> Flops:
        if len(values) == 1:
            sums = out.width < values[0].width
            return Flops(vector=load.elements(values[0]) if sums else 0)
        return sum((step.flops(load) for step in self.steps(values)), Flops())

    def saved(self, load: Load, out: Value, *values: Value) -> Saved:
        """Both sides of each join; copies that torch makes of axes that are not neighbours are not counted."""
        inputs, run, wide = [], 0, 0
        for place, step in enumerate(self.steps(values)):
            for term, of in ((step.left, 0 if place == 0 else None), (step.right, place + 1)):
                if of is not None and not step.alone(term):
                    inputs.append(of)
                elif term.value.timed:
                    elements = load.elements(step.summed(term))
                    wide += elements * (term.value.dtype == "float32")
                    run += elements * (term.value.dtype != "float32")
        return Saved(inputs=tuple(inputs), run=run, wide=wide)

    def source(self, site: Site) -> str:
        """One call a join, so that the order is this one whatever optimizer of paths is installed."""
        batch = "".join(n for n in dict.fromkeys("bt" + ascii_letters) if n not in self.pattern)[:2]

        def named(term: Term) -> str:
            return batch * term.value.timed + term.letters

        def cast(source: str, value: Value) -> str:
            if value.dtype == site.out.dtype:
                return source
            return f"{source if source.isidentifier() else f'({source})'}.float()"

        texts = [cast(source, value) for source, value in zip(site.inputs, site.values, strict=True)]
        if len(texts) == 1:
            terms, result = self._read(site.values)
            out = Term(result, site.out)
            return f'torch.einsum("{named(terms[0])}->{named(out)}", {texts[0]})'
        whole = texts[0]
        for step, right in zip(self.steps(site.values), texts[1:], strict=True):
            pattern = f"{named(step.left)},{named(step.right)}->{named(step.out)}"
            whole = f'torch.einsum("{pattern}", {whole}, {right})'
        return whole


def _dtype(values: tuple[Value, ...]) -> str:
    return "float32" if any(value.dtype == "float32" for value in values) else "run"
