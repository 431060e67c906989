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
    ("a100x8", 8, 80e9, 2.04e12, "bfloat16", 312e12, 14.32),
    ("apple_m", 1, 64e9, 546e9, "float32", 16.2e12, None),
    ("b200x8", 8, 180e9, 8e12, "bfloat16", 2250e12, 40.0),
    ("cpu", 1, 16e9, 51.2e9, "float32", 768e9, None),
    ("dgx_spark", 1, 128e9, 273e9, "bfloat16", 62.5e12, None),
    ("h100", 1, 80e9, 3.35e12, "bfloat16", 989.4e12, 3.0),
    ("h100x8", 8, 80e9, 3.35e12, "bfloat16", 989.4e12, 24.0),
    ("h200", 1, 141e9, 4.8e12, "bfloat16", 989.4e12, 3.8),
    ("mi300x8", 8, 192e9, 5.3e12, "bfloat16", 1307.4e12, 16.0),
    ("rtx3090", 1, 24e9, 936e9, "bfloat16", 71e12, None),
    ("rtx4090", 1, 24e9, 1.008e12, "bfloat16", 165.2e12, None),
    ("rtx5090", 1, 32e9, 1.792e12, "bfloat16", 209.5e12, None),
    ("slurm_h100", 16, 80e9, 3.35e12, "bfloat16", 989.4e12, None),
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


def test_a_dtype_that_is_not_native_is_computed_in_float32():
    cpu, h100 = (load_hardware(find(name, "hardware")) for name in ("cpu", "h100"))
    assert cpu.peak.of("bfloat16") == cpu.peak.float32
    assert (h100.peak.of("float8"), h100.peak.of("float32")) == (1978.9e12, 66.9e12)


def test_products_of_two_dtypes_take_the_time_of_both():
    peak = load_hardware(find("h100", "hardware")).peak
    assert peak.mixed("bfloat16", 0.0) == peak.of("bfloat16")
    assert peak.mixed("bfloat16", 1.0) == peak.of("float8")
    seconds = 0.75 * 1e15 / peak.of("float8") + 0.25 * 1e15 / peak.of("bfloat16")
    assert peak.mixed("bfloat16", 0.75) == pytest.approx(1e15 / seconds)


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
