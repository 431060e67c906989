"""How often answers were right, and how sure that is. Knows nothing of what was asked."""

from __future__ import annotations

from math import sqrt

from attrs import frozen

Z = 1.959963984540054  # a normal variable stays within so many deviations of its mean 95 times in 100


@frozen
class Accuracy:
    """`right` of `rows` answers."""

    right: int
    rows: int

    @property
    def share(self) -> float:
        return self.right / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all that could have been asked lies, at 95%: Wilson's interval."""
        n, p = self.rows, self.share
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        reach = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, middle - reach), min(1.0, middle + reach)

    def percent(self) -> str:
        """`27.4% (23.7 to 31.5)`."""
        low, high = (100 * end for end in self.interval)
        return f"{100 * self.share:.1f}% ({low:.1f} to {high:.1f})"


def centred(share: float, baseline: float) -> float:
    """A share of right answers on a scale where guessing, which reaches `baseline` percent, is 0 and all right is 1."""
    chance = baseline / 100
    return (share - chance) / (1 - chance)
