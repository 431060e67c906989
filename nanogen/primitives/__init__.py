"""The primitives: one class each, its rules beside its settings. Importing this registers them all."""

from nanogen.primitives import (  # noqa: F401
    attend,
    axes,
    causal_conv,
    draws,
    einsum,
    linear,
    lookup,
    norms,
    pointwise,
    rope,
    shift,
)
from nanogen.primitives.base import PRIMITIVES, Parameter, Primitive, Site, Table, Variant

__all__ = ["PRIMITIVES", "Parameter", "Primitive", "Site", "Table", "Variant"]
