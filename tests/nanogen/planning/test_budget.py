"""What a budget buys, by hand."""

import pytest

from nanogen.planning.budget import purchase
from nanogen.planning.hardware import load_hardware
from nanogen.shelf import find


def test_the_horizon_of_nanochat_d20():
    """20 tokens a parameter by the convention: 21,400 steps, as its own script reckons."""
    flops = 21_400 * 524_288 * 3_491_758_080
    bought = purchase(flops, per_token=3_491_758_080, parameters=560_988_160, batch_tokens=524_288)
    assert (bought.tokens, bought.steps) == (11_219_763_200, 21_400)
    assert bought.tokens_per_parameter == pytest.approx(20, abs=0.001)
    assert (bought.hours, bought.dollars) == (None, None)


def test_hours_and_dollars():
    hardware = load_hardware(find("h100x8", "hardware"))
    bought = purchase(4e19, per_token=3e9, parameters=10**9, batch_tokens=2**19, hardware=hardware)
    assert bought.hours == pytest.approx(4e19 / (8 * 989.4e12 * 0.43) / 3600)
    assert bought.dollars == pytest.approx(24 * 4e19 / (8 * 989.4e12 * 0.43) / 3600)
    assert bought.tokens == 13_333_333_333
    assert bought.steps == 13_333_333_333 // 2**19


def test_hardware_without_a_price_costs_hours_alone():
    spark = load_hardware(find("dgx_spark", "hardware"))
    bought = purchase(1e18, per_token=1e9, parameters=10**8, batch_tokens=2**19, hardware=spark)
    assert bought.hours == pytest.approx(1e18 / 37.5e12 / 3600)
    assert bought.dollars is None
