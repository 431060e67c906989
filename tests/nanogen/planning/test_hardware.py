"""Hardware files: those that ship by their published figures, and the faults of others at their keys."""

from pathlib import Path

import pytest

from nanogen.planning.hardware import load_hardware, read_hardware
from nanogen.shelf import find, shipped
from nanogen.text.diagnostics import Refusal
from nanogen.text.document import parse_document

GOOD = """\
kind = "hardware"
about = "a test"
device = "cuda"
memory = "80G"
bandwidth = 1e12
peak = { bfloat16 = 100e12, float32 = 10e12 }
mfu = 0.5
"""


def read(text: str):
    document, faults = parse_document("hardware.toml", text)
    assert not faults
    return read_hardware(document)


SHIPPED = [
    ("a100_40g", 1, 42.2e9, 1.555e12, "bfloat16", 312e12, None),
    ("a100x8", 8, 84.9e9, 2.04e12, "bfloat16", 312e12, 14.32),
    ("apple_m", 1, 64e9, 546e9, "float32", 16.2e12, None),
    ("apple_m4", 1, 16e9, 120e9, "float32", 3.76e12, None),
    ("b200x8", 8, 191.4e9, 8e12, "bfloat16", 2250e12, 47.84),
    ("cpu", 1, 16e9, 51.2e9, "float32", 768e9, None),
    ("dgx_spark", 1, 128e9, 273e9, "bfloat16", 125e12, None),
    ("h100", 1, 84.9e9, 3.35e12, "bfloat16", 989.4e12, 3.0),
    ("h100x8", 8, 84.9e9, 3.35e12, "bfloat16", 989.4e12, 24.0),
    ("h200", 1, 150e9, 4.8e12, "bfloat16", 989.4e12, 3.59),
    ("l4", 1, 23.6e9, 300e9, "bfloat16", 121e12, 0.44),
    ("l40s", 1, 47.5e9, 864e9, "bfloat16", 362e12, 0.79),
    ("mi300x8", 8, 205.8e9, 5.3e12, "bfloat16", 1307.4e12, 15.92),
    ("rtx3060", 1, 12.3e9, 360e9, "bfloat16", 25.5e12, None),
    ("rtx3090", 1, 25.2e9, 936e9, "bfloat16", 71e12, None),
    ("rtx4060_laptop", 1, 8.1e9, 256e9, "bfloat16", 24.6e12, None),
    ("rtx4070", 1, 12.3e9, 504e9, "bfloat16", 58.3e12, None),
    ("rtx4090", 1, 25.2e9, 1.008e12, "bfloat16", 165.2e12, None),
    ("rtx5070", 1, 12.3e9, 672e9, "bfloat16", 61.7e12, None),
    ("rtx5090", 1, 33.6e9, 1.792e12, "bfloat16", 209.5e12, None),
    ("slurm_h100", 16, 84.9e9, 3.35e12, "bfloat16", 989.4e12, None),
    ("t4", 1, 15.6e9, 300e9, "float32", 8.1e12, None),
]


@pytest.mark.parametrize(
    ("name", "devices", "memory", "bandwidth", "dtype", "peak", "price"), SHIPPED, ids=[s[0] for s in SHIPPED]
)
def test_what_ships(name, devices, memory, bandwidth, dtype, peak, price):
    hardware = load_hardware(find(name, "hardware"))
    assert (hardware.devices, hardware.memory, hardware.bandwidth) == (devices, memory, bandwidth)
    assert (hardware.dtype, hardware.device_peak, hardware.dollars_an_hour) == (dtype, peak, price)
    assert hardware.flops_per_second == pytest.approx(devices * peak * hardware.mfu)
    assert hardware.watts is not None
    assert hardware.kilowatts == pytest.approx(devices * hardware.watts / 1000)
    assert (hardware.interconnect is not None) == (devices > 1)
    assert "assumed" in find(name, "hardware").read_text()  # mfu, and a price where there is one
    assert hardware.about


def test_every_file_that_ships_is_tried_above():
    assert shipped("hardware") == [one[0] for one in SHIPPED]


INSTEAD = {
    "a100x8": 600e9,
    "b200x8": 1.8e12,
    "h100x8": 900e9,
    "mi300x8": 896e9,
}  # of vendors, both directions


@pytest.mark.parametrize(("name", "both"), INSTEAD.items())
def test_an_interconnect_is_told_in_one_direction(name: str, both: float):
    assert load_hardware(find(name, "hardware")).interconnect == both / 2


def test_a_device_is_listed_once_for_each_count():
    found = [load_hardware(find(name, "hardware")) for name in shipped("hardware")]
    named = [(name, one.devices) for one in found for name in one.names]
    assert len(named) == len(set(named))
    assert all(one.names for one in found if one.device == "cuda")


def test_cards_whose_sums_in_float32_are_slower_are_told_with_those():
    """GeForce: a quarter of FP4's rate is 16 bits' with sums in 16 bits, an eighth that with sums in 32."""
    for name in ("rtx5090", "rtx5070"):
        peak = load_hardware(find(name, "hardware")).peak
        assert peak.bfloat16 == pytest.approx(2 * peak.float32, rel=0.01), name
    spark = load_hardware(find("dgx_spark", "hardware")).peak
    assert spark.bfloat16 == pytest.approx(4 * spark.float32, rel=0.01)


def test_a_dtype_that_is_not_native_is_computed_in_float32():
    cpu, h100 = (load_hardware(find(name, "hardware")) for name in ("cpu", "h100"))
    assert cpu.peak.of("bfloat16") == cpu.peak.float32
    assert (h100.peak.of("float8"), h100.peak.of("float32")) == (1978.9e12, 66.9e12)


def test_machines_and_their_devices_count():
    hardware, faults = read(GOOD + 'count = 8\nmachines = 4\nlauncher = "slurm"\n')
    assert not faults
    assert hardware is not None
    assert hardware.devices == 32
    assert hardware.flops_per_second == 32 * 100e12 * 0.5


@pytest.mark.parametrize(
    ("old", "new", "code", "path", "message"),
    [
        ('kind = "hardware"\n', "", "NG102", ("kind",), 'hardware opens with `kind = "hardware"`'),
        ('"hardware"', '"run"', "NG102", ("kind",), "this is a run, not hardware"),
        ("mfu = 0.5", "", "NG102", (), "the setting `mfu` is missing"),
        ("mfu = 0.5", "mfu = 40", "NG704", ("mfu",), "`mfu` is a share between 0 and 1, found 40"),
        ('"cuda"', '"tpu"', "NG704", ("device",), "`device` is one of cuda, mps, cpu, found `tpu`"),
        ("bandwidth", "bandwith", "NG103", ("bandwith",), "there is no setting `bandwith` here"),
        ('"80G"', '"80 GB"', "NG704", ("memory",), "expected a count such as 5000"),
        ("100e12", '"fast"', "NG704", ("peak", "bfloat16"), 'expected a number, found text "fast"'),
        ("bfloat16", "bf16", "NG103", ("peak", "bf16"), "there is no setting `bf16` here"),
        ("10e12", "-1", "NG704", ("peak", "float32"), "`float32` is above 0, found -1"),
    ],
)
def test_faults_stand_at_their_keys(old, new, code, path, message):
    assert old in GOOD
    hardware, faults = read(GOOD.replace(old, new))
    assert hardware is None
    told = [(f.code, f.place.path) for f in faults]
    assert (code, path) in told, told
    assert any(message in f.message for f in faults)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(Refusal) as refused:
        load_hardware(tmp_path / "none.toml")
    assert [d.code for d in refused.value.diagnostics] == ["NG001"]
