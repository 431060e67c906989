"""The roles that parameters may have, and which rate of the recipe moves each. Imports no torch."""

from runtime.faults import Fault

# Role -> the setting of `Recipe` that is its rate. The order is that of the groups when printed.
RATES = {
    "embedding": "embedding_lr",
    "head": "head_lr",
    "matrix": "matrix_lr",
    "conv": "matrix_lr",
    "gain": "matrix_lr",
    "bias": "matrix_lr",
    "scalar": "matrix_lr",
    "vector": "matrix_lr",
}

REFERENCE_WIDTH = 768  # channels of the model on which the rates were tuned


def check_role(path: str, role: str) -> None:
    """Refuse a role that no rate is for."""
    if role not in RATES:
        raise Fault(f"parameter `{path}` has the unknown role `{role}`", f"the roles are {', '.join(RATES)}")
