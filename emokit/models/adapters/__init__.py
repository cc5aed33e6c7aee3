"""Small weights of one corpus at sites of the shared backbone."""

from emokit.core.registry import Registry

ADAPTERS = Registry("adapter", {
    "norm": "emokit.models.adapters.norm:NormAdapter",
    "residual": "emokit.models.adapters.residual:ResidualAdapter",
    "bottleneck": "emokit.models.adapters.bottleneck:BottleneckAdapter",
    "lora": "emokit.models.adapters.lora:LoraAdapter",
    "dora": "emokit.models.adapters.dora:DoraAdapter",
    "ia3": "emokit.models.adapters.ia3:Ia3Adapter",
    "bias": "emokit.models.adapters.bias:BiasAdapter",
    "gate": "emokit.models.adapters.gate:GateAdapter",
    "weighted_sum": "emokit.models.adapters.weighted_sum:WeightedSumAdapter",
    "layer_mix": "emokit.models.adapters.layer_mix:LayerMixAdapter",
    "wap": "emokit.models.adapters.wap:WapAdapter",
    "conv_lora": "emokit.models.adapters.conv_lora:ConvLoraAdapter",
    "conv_bottleneck": "emokit.models.adapters.conv_bottleneck:ConvBottleneckAdapter",
    "prompt": "emokit.models.adapters.prompt:PromptAdapter",
    "prefix": "emokit.models.adapters.prefix:PrefixAdapter",
})
