"""`nanogen diff` as people call it: what is told, and the exit code."""

import json


def test_two_specs(call):
    code, out, err = call("diff", "nanochat_2025", "saint_iberis_d20")
    assert (code, err) == (0, "")
    for wanted in (
        "does not load: 106 tensors missing, 80 tensors left over",
        "another function",
        "-18,952,960 -3.4%",
        "layers 1, 4, 7, 10, 13, 16, 19 changed\n",
        "    ~ h      x + attn -> x + mix",
        "missing    trunk.*.mix.alpha.weight  (10, 1280)    layers 0, 2, 3",
        "left over  trunk.*.attn.q.weight     (1280, 1280)  layers 0 to 19",
    ):
        assert wanted in out, out
    assert "\x1b" not in out


def test_the_same_spec_says_so(call):
    code, out, _ = call("diff", "nanochat_2025", "nanochat_2025")
    assert code == 0
    assert out.splitlines()[1:] == [
        "  the same model: same source, same parameters, same initial laws and roles"
    ]


def test_each_side_has_its_own_dims(call):
    out = call("diff", "nanochat_2025", "nanochat_2025", "--set-a", "depth=12", "--set-b", "depth=14")[1]
    assert out.startswith("nanochat_2025 depth=12 -> nanochat_2025 depth=14\n")
    assert "trunk · 12 -> 14 layers" in out
    assert "+ layers 12, 13 added" in out
    assert "shape    embed.weight" in out


def test_json_leaves_nothing_out(call):
    found = json.loads(call("diff", "nanochat_2025", "saint_iberis_d20", "--json")[1])
    assert (found["equal"], found["loads"], len(found["tensors"]["missing"])) == (False, False, 106)
    assert [len(stack["layers"]) for stack in found["stacks"]] == [20]
    assert json.loads(call("diff", "nanochat_2025", "nanochat_2025", "--json")[1])["equal"] is True


def test_faults_are_1_and_wrong_usage_2(call):
    code, out, err = call("diff", "nanochat_2025", "nosuch")
    assert (code, out) == (1, "")
    assert "error[NG001]" in err
    assert call("diff", "nanochat_2025")[0] == 2
    assert call("diff", "nanochat_2025", "nanochat_2025", "--set-b", "depth")[0] == 2
