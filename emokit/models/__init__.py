"""From batches to logits."""

from emokit.core.registry import Registry

POOLINGS = Registry("pooling", {
    "attention": "emokit.models.pooling:AttentionPooling",
    "average": "emokit.models.pooling:AveragePooling",
    "statistics": "emokit.models.pooling:StatisticsPooling",
    "statistics_attention": "emokit.models.pooling:StatisticsAttentionPooling",
})

HEADS = Registry("head", {
    "linear": "emokit.models.heads:LinearHead",
    "dense": "emokit.models.heads:DenseHead",
    "projector": "emokit.models.heads:ProjectorHead",
})
