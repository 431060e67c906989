"""Shares of right answers, their intervals, and CORE's scale."""

import pytest

from stages.evaluating.accuracy import Accuracy, centred

# CORE of four models, the second of which is GPT-2 (124 M), with the accuracies that gave it, as people who ran nanochat's evaluation published them
PUBLISHED = {
    0.119520: (
        "0.304023 0.009920 0.320407 0.510522 0.258532 0.600000 0.285012 0.620239 0.296000 0.252086 0.304621 "
        "0.553114 0.516180 0.143000 0.269565 0.368939 0.109524 0.000000 0.035478 0.078542 0.542813 0.252300"
    ),
    0.121646: (
        "0.308803 0.003307 0.282614 0.418350 0.222696 0.620000 0.237510 0.620783 0.276000 0.324083 0.307011 "
        "0.593407 0.516180 0.155000 0.230435 0.423485 0.090476 0.031250 0.057900 0.132782 0.554434 0.259200"
    ),
    0.137938: (
        "0.423123 0.005196 0.270754 0.608586 0.337884 0.610000 0.286650 0.712731 0.362000 0.226858 0.419837 "
        "0.575092 0.507498 0.000000 0.226087 0.002273 0.104762 0.000000 0.025166 0.087812 0.613456 0.250600"
    ),
    0.259960: (
        "0.557459 0.102031 0.462428 0.688552 0.385666 0.680000 0.264537 0.745375 0.400000 0.442461 0.561243 "
        "0.688645 0.557222 0.147000 0.260870 0.393182 0.185714 0.031250 0.424503 0.313667 0.526911 0.247400"
    ),
}
BASELINES = (
    25,
    0,
    0,
    25,
    25,
    50,
    20,
    50,
    25,
    0,
    25,
    50,
    50,
    0,
    20,
    0,
    0,
    0,
    0,
    0,
    62,
    9.1,
)  # in the order above
# GPT-2 in its four sizes on hellaswag_zeroshot, hellaswag, piqa, arc_easy and arc_challenge, to a tenth of a percent
GPT2 = {
    (30.9, 30.8, 62.3, 41.2, 22.2): (0.0780, 0.0772, 0.2459, 0.2166, -0.0375),
    (39.0, 39.5, 67.0, 48.0, 26.2): (0.1867, 0.1933, 0.3400, 0.3067, 0.0160),
    (44.0, 44.4, 69.8, 53.5, 26.4): (0.2533, 0.2587, 0.3960, 0.3800, 0.0187),
    (50.2, 51.2, 72.5, 59.5, 29.9): (0.3360, 0.3493, 0.4500, 0.4600, 0.0653),
}


@pytest.mark.parametrize("core", PUBLISHED)
def test_published_cores_follow_from_their_accuracies(core):
    shares = [float(share) for share in PUBLISHED[core].split()]
    found = [centred(share, baseline) for share, baseline in zip(shares, BASELINES, strict=True)]
    assert len(found) == 22
    assert sum(found) / len(found) == pytest.approx(core, abs=2e-6)


@pytest.mark.parametrize("shares", GPT2)
def test_gpt2_is_centred_as_published(shares):
    found = [
        centred(share / 100, baseline) for share, baseline in zip(shares, (25, 25, 50, 25, 25), strict=True)
    ]
    assert found == pytest.approx(GPT2[shares], abs=1.1e-3)  # a tenth of a percent, over half the scale


def test_guessing_is_0_and_all_right_is_1():
    assert centred(0.091, 9.1) == pytest.approx(0)
    assert centred(1.0, 62) == pytest.approx(1)
    assert centred(0.0, 50) == -1


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (5, 5000, 0.00043, 0.00234)],
)
def test_wilsons_interval(right, rows, low, high):
    assert Accuracy(right, rows).interval == pytest.approx((low, high), abs=1e-4)


def test_a_percentage_is_told_with_its_interval():
    assert Accuracy(137, 500).percent() == "27.4% (23.7 to 31.5)"
