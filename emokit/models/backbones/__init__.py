"""Shared encoders."""

from emokit.core.registry import Registry

BACKBONES = Registry("backbone", {
    "resnet": "emokit.models.backbones.resnet:ResNet",
    "byols": "emokit.models.backbones.byols:Byols",
    "hf": "emokit.models.backbones.hf:HuggingFace",
    "torchaudio": "emokit.models.backbones.torchaudio_bundles:Bundle",
})
