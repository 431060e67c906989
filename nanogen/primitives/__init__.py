"""The primitives: one class each, its rules beside its settings. Importing this registers them all."""

from nanogen.primitives import (  # noqa: F401
    attend,
    axes,
    causal_conv,
    linear,
    lookup,
    norms,
    pointwise,
    rope,
    shift,
)
from nanogen.primitives.base import PRIMITIVES, Parameter, Primitive, Site, Table

__all__ = ["PRIMITIVES", "Parameter", "Primitive", "Site", "Table"]
