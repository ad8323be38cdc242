"""Rules for timm's blocks: which class holds which units, where each can be read, what ends its residual branch.

A class that is not here is not recognised.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from torch import nn

from models._timm import timm
from models.units.parts import Part, Rule, register

ATTENTION = re.compile("atten|attn|mhsa|mla|sh[sm]a", re.IGNORECASE)


MISSING: list[str] = []  # what this version of timm does not have


def add(rule: Rule, names: str) -> None:
    """Register classes by their names below timm.models, separated by blanks."""
    for name in names.split():
        module, kind = name.split(".")
        try:
            register(getattr(importlib.import_module(f"timm.models.{module}"), kind), rule)
        except (ImportError, AttributeError):
            MISSING.append(name)


def kind_of(module: nn.Module) -> str:
    """What mixes inside a module: attention, or a convolution or pooling over pixels, or channels only."""
    if any(ATTENTION.search(type(part).__name__) for part in module.modules()):
        return "msa"
    kernels = [part.kernel_size for part in module.modules() if hasattr(part, "kernel_size")]
    return "conv" if any(kernel not in (1, (1, 1)) for kernel in kernels) else "mlp"


def two(
    first: str, kind: str, *, until: str = "norm2", second: str = "mlp", ends: tuple[str, str] | None = None,
    channels_last: bool = False,
) -> list[Part]:  # fmt: skip
    """X + first(...), then x + second(...).

    `until` is the module that receives the first sum; `ends` end the branches where something follows first, second.
    """
    end = ends or (first, second)
    return [
        Part(first, kind, read=(until, "input"), branch=end[0], channels_last=channels_last),
        Part(second, "mlp", branch=end[1], channels_last=channels_last),
    ]


def one(*ends: str, skip: str | None = None, kind: str | None = "conv", channels_last: bool = False) -> Rule:
    """X + f(x). f ends in the first of `ends` that the block has; without what `skip` names there is no `x +`.

    kind None: as what is inside.
    """

    def rule(block: Any) -> list[Part]:
        end = next(name for name in ends if getattr(block, name, None) is not None)
        plain = skip is not None and getattr(block, skip) in (None, False)
        return [Part("", kind or kind_of(block), branch=None if plain else end, channels_last=channels_last)]

    return rule


def token_mixer(until: str) -> Rule:
    """A MetaFormer block: its token mixer is attention in some stages, something else or nothing in others."""

    def rule(block: Any) -> list[Part]:
        both = two("token_mixer", "conv" if block.token_mixer is None else kind_of(block.token_mixer), until=until)
        return both[1:] if block.token_mixer is None else both

    return rule


def visformer(block: Any) -> list[Part]:
    return two("attn", "msa")[block.attn is None :]


def davit(block: Any) -> list[Part]:
    parts = two("attn", "msa", until="cpe2", ends=("drop_path1", "drop_path2"))
    return parts if block.mlp is not None else parts[:1]


def rep_mixer(block: Any) -> list[Part]:
    branch = None if block.token_mixer.reparam_conv is not None else "token_mixer.layer_scale"
    return [Part("token_mixer", "conv", ("token_mixer", "output"), branch), Part("mlp", "mlp", branch="drop_path")]


def xception(block: Any) -> list[Part]:
    return [Part("", "conv", branch=None if block.no_skip else "stack")]


def rep_vgg(block: Any) -> list[Part]:
    skip = block.identity is not None and block.reparam_conv is None
    return [Part("", "conv", branch="drop_path" if skip else None)]


# Transformers, norm before the branch
add(
    two("attn", "msa"),
    "vision_transformer.Block beit.Block cait.LayerScaleBlock convit.Block deepseek_vit.DeepseekVitBlock eva.EvaBlock "
    "twins.Block pvt_v2.Block vision_transformer_relpos.RelPosBlock maxxvit.TransformerBlock2d "
    "maxxvit.PartitionAttention2d mvitv2.MultiScaleBlock",
)
add(
    two("attn", "msa", channels_last=True),
    "swin_transformer.SwinTransformerBlock gcvit.GlobalContextVitBlock vision_transformer_sam.Block volo.Outlooker "
    "volo.Transformer maxxvit.PartitionAttentionCl hieradet_sam2.MultiScaleBlock",
)
add(two("factoratt_crpe", "msa"), "coat.SerialBlock")
add(two("attn", "msa", until="mlp"), "levit.LevitBlock")
add(two("token_mixer", "msa"), "efficientformer.MetaBlock1d")
add(two("attn", "msa", ends=("drop_path1", "drop_path2")), "csatv2.TransformerBlock")
add(two("modulation", "msa", ends=("norm1_post", "norm2_post")), "focalnet.FocalNetBlock")
add(two("token_mixer", "msa", until="mlp"), "fastvit.AttentionBlock")
add(
    [
        Part("attn", "msa", read=("local_conv", "input"), branch="drop_path1"),
        Part("mlp", "mlp", branch="drop_path2", channels_last=True),
    ],
    "tiny_vit.TinyVitBlock",
)
add(visformer, "visformer.Block")
add(davit, "davit.SpatialBlock davit.ChannelBlock")
# Transformers, norm behind the branch, and attention and MLP at once
POST: dict[str, Any] = {"until": "mlp", "ends": ("norm1", "norm2")}
add(
    two("attn", "msa", **POST),
    "vision_transformer.ResPostBlock eva.EvaBlockPostNorm vision_transformer_relpos.ResPostRelPosBlock",
)
add(
    two("attn", "msa", **POST, channels_last=True),
    "swin_transformer_v2.SwinTransformerV2Block swin_transformer_v2_cr.SwinTransformerV2CrBlock",
)
add(one("drop_path", kind="msa"), "vision_transformer.ParallelScalingBlock vision_transformer.DiffParallelScalingBlock")
add([Part("attns", "msa", read=("ffns.0", "input")), Part("ffns", "mlp")], "vision_transformer.ParallelThingsBlock")
add(
    [
        Part("attn", "msa", read=("norm3", "input"), branch="attn"),
        Part("local_mp", "conv", read=("norm2", "input"), branch="local_mp"),
        Part("mlp", "mlp", branch="mlp"),
    ],
    "xcit.XCABlock",
)
# Mixers without attention
add(two("mlp_tokens", "mlp", second="mlp_channels"), "mlp_mixer.MixerBlock")
add(two("linear_tokens", "mlp", second="mlp_channels"), "mlp_mixer.ResBlock")
add(one("drop_path", kind="mlp"), "mlp_mixer.SpatialGatingBlock")
add(two("rnn_tokens", "conv", second="mlp_channels", channels_last=True), "sequencer.Sequencer2dBlock")
add(token_mixer("norm2"), "metaformer.MetaFormerBlock")
add(token_mixer("mlp"), "efficientformer.MetaBlock2d efficientformer_v2.EfficientFormerV2Block")
add(rep_mixer, "fastvit.RepMixerBlock")
# Convolution and attention in one block
add(
    [Part("mhca", "conv", read=("norm", "input"), branch="mhca"), Part("mlp", "mlp", branch="mlp")],
    "nextvit.NextConvBlock",
)
add(
    [
        Part("e_mhsa", "msa", read=("projection", "input"), branch="e_mhsa"),
        Part("mhca", "conv", read=("norm2", "input"), branch="mhca"),
        Part("mlp", "mlp", branch="mlp"),
    ],
    "nextvit.NextTransformerBlock",
)
add(
    [
        Part("local_representation", "conv", ("local_representation", "output"), "local_representation.drop_path"),
        Part("attn", "msa", read=("linear", "input"), branch="layer_scale_1"),
        Part("linear", "mlp", branch="layer_scale_2"),
    ],
    "swiftformer.Block",
)
add(one("drop_path", kind="msa"), "edgenext.SplitTransposeBlock")
add([Part("", "msa")], "mobilevit.MobileVitBlock mobilevit.MobileVitV2Block")
add(one("main", skip="shortcut", kind=None), "efficientvit_mit.ResidualBlock")
add(one("drop_path", skip="shortcut", kind=None), "cpubone.ResidualBlock lowformer.ResidualBlock")
add(one("m", kind=None), "efficientvit_msra.ResidualDrop shvit.Residual")
add(one("module", kind=None), "iformer.Residual")
add(one("drop_path", skip="shortcut", kind="msa"), "byobnet.SelfAttnBlock")
add(one("drop_path", skip="has_skip", kind="msa"), "_efficientnet_blocks.MobileAttention")
# Convolutional blocks with a residual
add(one("se", "bn2"), "resnet.BasicBlock")
add(one("se", "bn3"), "resnet.Bottleneck res2net.Bottle2neck")
add(one("bn3"), "resnest.ResNestBottleneck dla.DlaBottleneck dla.DlaBottle2neck")
add(one("bn2"), "dla.DlaBasic")
add(one("se_module"), "senet.Bottleneck senet.SEResNetBlock")
add(one("se", "conv2"), "sknet.SelectiveKernelBasic")
add(one("se", "conv3"), "sknet.SelectiveKernelBottleneck")
add(
    one("drop_path"),
    "resnetv2.PreActBasic resnetv2.PreActBottleneck resnetv2.Bottleneck convnext.ConvNeXtBlock cspnet.BottleneckBlock "
    "cspnet.DarkBlock cspnet.EdgeBlock csatv2.Block edgenext.ConvBlock fasternet.MLPBlock inception_next.MetaNeXtBlock "
    "maxxvit.MbConvBlock maxxvit.ConvNeXtBlock nfnet.NormFreeBlock starnet.Block swiftformer.ConvEncoder "
    "tiny_vit.MBConv tresnet.BasicBlock tresnet.Bottleneck vitamin.MbConvLNBlock",
)
add(one("drop_path", channels_last=True), "mambaout.GatedConvBlock")
add(
    one("drop_path", skip="has_skip"),
    "_efficientnet_blocks.ConvBnAct _efficientnet_blocks.DepthwiseSeparableConv _efficientnet_blocks.InvertedResidual "
    "_efficientnet_blocks.UniversalInvertedResidual _efficientnet_blocks.CondConvResidual "
    "_efficientnet_blocks.EdgeResidual",
)
add(
    one("drop_path", skip="shortcut"),
    "byobnet.BasicBlock byobnet.BottleneckBlock byobnet.DarkBlock byobnet.EdgeBlock",
)
add(rep_vgg, "byobnet.RepVggBlock byobnet.MobileOneBlock")
add(one("drop_path", skip="downsample"), "regnet.Bottleneck regnet.PreBottleneck")
add(one("drop_path", skip="add_identity"), "cspnext.CspNextBlock")
add(one("drop_path", "aggregation", skip="residual"), "hgnet.HighPerfGpuBlock")
add(one("drop_path", "attn", "conv_concat", skip="residual"), "vovnet.OsaBlock")
add(one("conv_pwl", skip="use_shortcut"), "rexnet.LinearBottleneck")
add(one("pw_conv", skip="use_shortcut"), "lcnetv2.RepDepthwiseSeparable")
add(one("conv_pw"), "gcvit.MbConvBlock")
add(one("ghost2"), "ghostnet.GhostBottleneck ghostnet.GhostBottleneckV3 repghost.RepGhostBottleneck")
add(one("fn"), "convmixer.Residual")
add(one("rep"), "xception.Block")
add(xception, "xception_aligned.XceptionModule xception_aligned.PreXceptionModule")
add(one("conv2d"), "inception_resnet_v2.Block35 inception_resnet_v2.Block17 inception_resnet_v2.Block8")
add([Part("", "conv", branch="channel_mixer")], "repvit.RepViTBlock")
# Blocks without a residual
add(
    [Part("", "conv")],
    "selecsls.SelecSlsBlock nasnet.CellStem0 nasnet.CellStem1 nasnet.FirstCell nasnet.NormalCell nasnet.ReductionCell0 "
    "nasnet.ReductionCell1 pnasnet.CellStem0 pnasnet.Cell inception_v3.InceptionA inception_v3.InceptionB "
    "inception_v3.InceptionC inception_v3.InceptionD inception_v3.InceptionE inception_v4.Mixed3a inception_v4.Mixed4a "
    "inception_v4.Mixed5a inception_v4.InceptionA inception_v4.InceptionB inception_v4.InceptionC "
    "inception_v4.ReductionA inception_v4.ReductionB densenet.DenseLayer rdnet.DenseBlock",
)
# Between stages. A patch embedding that takes the image is the stem, not a pool.
add([Part("", "pool")], "pit.Pooling twins.PatchEmbed repvit.RepVitDownsample densenet.DenseTransition")
add([Part("", "pool", channels_last=True)], "swin_transformer.PatchMerging swin_transformer_v2.PatchMerging")
add([Part("attn_downsample", "pool", read=("mlp", "input")), Part("mlp", "mlp", branch="mlp")], "levit.LevitDownsample")
register(timm.layers.PatchEmbed, [Part("", "pool")])
# Attention whose queries are class tokens only carries no map: a part of the head.
add([], "cait.LayerScaleBlockClassAttn volo.ClassBlock xcit.ClassAttentionBlock")
# A side branch that makes queries for the attention of its stage.
add([], "gcvit.FeatureBlock")
# Maps that are no maps of the image, or several at once
add("its tokens are in unrolled order and make no map", "hiera.HieraBlock")
add("its tokens are cut into blocks and make no map", "nest.NestLevel")
add("it carries tokens of patches and of pixels at once", "tnt.Block")
add(
    "it carries maps of several sizes at once", "coat.ParallelBlock crossvit.MultiScaleBlock hrnet.HighResolutionModule"
)
add("it carries a residual and a dense stream", "dpn.DualPathBlock")
add("its residual mixes the branch into the skip", "efficientvim.EfficientViMBlock")
