"""Small weights of one corpus at sites of the shared backbone."""

from emokit.core.registry import Registry

ADAPTERS = Registry("adapter", {
    "norm": "emokit.models.adapters.norm:NormAdapter",
    "residual": "emokit.models.adapters.residual:ResidualAdapter",
})
