"""The rules of 2025 with a group for each role, for tests that need an optimizer and no file."""

from runtime.muon import Variant
from runtime.optimizer import AdamW, Rule

RATES = {"embedding": 0.2, "head": 0.004, "matrix": 0.02}
ROLES = (*RATES, "conv", "gain", "bias", "scalar", "vector")


def rules(width: int = 768, decay: float = 0.0) -> list[Rule]:
    """AdamW at rates that go with the width, and Muon on matrices."""
    narrow = (width / 768) ** -0.5
    adamw = {role: RATES.get(role, 0.02) * narrow for role in ROLES if role != "matrix"}
    made = {role: Rule(role, rate, AdamW(), decay) for role, rate in adamw.items()}
    made["matrix"] = Rule("matrix", RATES["matrix"], Variant())
    return [made[role] for role in ROLES]
