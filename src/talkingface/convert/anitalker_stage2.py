"""Names and shapes of AniTalker's published stage 2 (Liu et al. 2024), in all five variants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from talkingface.core.errors import WeightsError, first_of

Names = dict[str, str]  # published name → ours

# Levels that training code may put around the names.
WRAPPERS = ("state_dict.", "module.")
AVERAGED = "ema_model."
WITHOUT_EFFECT = {
    "model.": "weights of the last training step; the published code uses their averages, ema_model",
    "x_T": "noise for pictures, a leftover of another project that the published code never reads",
}
ATTRIBUTES = {"location": "location", "face_scale": "scale", "pose": "pose"}  # theirs → ours

BLOCK = {
    "self_attn.pos_bias_u": "attention.content_bias",
    "self_attn.pos_bias_v": "attention.position_bias",
    "self_attn.linear_pos.weight": "attention.position.weight",
}
AFFINE_OF_BLOCK = {
    "self_attn.linear_q": "attention.query",
    "self_attn.linear_k": "attention.key",
    "self_attn.linear_v": "attention.value",
    "self_attn.linear_out": "attention.out",
    "feed_forward_macaron.w_1": "feed_forward_in.0",
    "feed_forward_macaron.w_2": "feed_forward_in.3",
    "feed_forward.w_1": "feed_forward_out.0",
    "feed_forward.w_2": "feed_forward_out.3",
    "conv_module.pointwise_conv1": "convolution.pointwise_in",
    "conv_module.depthwise_conv": "convolution.depthwise",
    "conv_module.pointwise_conv2": "convolution.pointwise_out",
    "conv_module.norm": "convolution.norm",
    "norm_ff_macaron": "norm_in",
    "norm_mha": "norm_attention",
    "norm_conv": "norm_convolution",
    "norm_ff": "norm_out",
    "norm_final": "norm_final",
}
BATCH_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Variant:
    """Which of the published variants a checkpoint is.

    Args:
        audio: short name of its audio encoder, ``"hubert"`` or ``"mfcc"``.
        audio_settings, generator_settings: keyword arguments of the parts.
    """

    audio: str
    audio_settings: Mapping[str, Any]
    generator_settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As its authors call it.

        >>> Variant("mfcc", {}, {"attributes": ["pose"]}).name
        'mfcc_pose_only'
        """
        controls = self.generator_settings["attributes"]
        return f"{self.audio}_" + ("full_control" if len(controls) > 1 else f"{(controls or ['audio'])[0]}_only")


def averaged_weights(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take the averaged weights, the only ones that the published code uses.

    Args:
        tensors: name → tensor, as the file has them.

    Returns:
        The averages, under names without ``ema_model.``, and dropped name → reason.

    Raises:
        WeightsError: when there are none, or tensors that no stage 2 has.
    """
    kept, dropped, unknown = {}, {}, []
    for full, tensor in tensors.items():
        name = full
        while name.startswith(WRAPPERS):
            name = name.partition(".")[2]
        reason = next((why for start, why in WITHOUT_EFFECT.items() if name.startswith(start)), None)
        if name.startswith(AVERAGED):
            kept[name.removeprefix(AVERAGED)] = tensor
        elif reason:
            dropped[full] = reason
        else:
            unknown.append(full)
    if not kept or unknown:
        found = first_of(unknown or list(tensors)) or "nothing"
        raise WeightsError(f"this is no checkpoint of AniTalker's stage 2 (model.…, ema_model.…, x_T); it has {found}.")
    return kept, dropped


def variant(tensors: Mapping[str, Tensor]) -> Variant:
    """Read variant and sizes off names and shapes.

    Args:
        tensors: as :func:`averaged_weights` returns them.

    Raises:
        WeightsError: when a tensor that tells them is missing or of impossible shape.
    """

    def length(name: str, axis: int) -> int:
        tensor = tensors.get(name)
        if tensor is None or tensor.ndim <= axis:
            raise WeightsError(f"this is no AniTalker stage 2: {AVERAGED}{name} is missing or has another shape.")
        return tensor.shape[axis]

    def conformer(prefix: str) -> dict[str, int]:
        return {"blocks": _blocks(tensors, prefix), "heads": length(f"{prefix}.encoders.0.self_attn.pos_bias_u", 0)}

    speech: dict[str, Any]
    if "weights" in tensors:
        audio, width = "hubert", length("down_sample1.weight", 0)
        speech = {"dim": width, **conformer("speech_encoder"), "network": "chinese-hubert-large"}
    else:
        audio, speech = "mfcc", {"dim": length("down_sample2.weight", 0)}
    attributes = [ours for theirs, ours in ATTRIBUTES.items() if f"{theirs}_predictor.fc.weight" in tensors]
    generator: dict[str, Any] = {
        "dim": length("out_proj.weight", 1),
        **conformer("coarse_decoder"),
        "attributes": attributes,
        "static": length("noisy_encoder.0.weight", 0),
    }
    if attributes:
        first = next(theirs for theirs, ours in ATTRIBUTES.items() if ours == attributes[0])
        generator["hidden"] = length(f"{first}_predictor.fc.weight", 1)
    return Variant(audio, speech, generator)


def audio_names(audio: str, blocks: int = 0) -> Names:
    """Published name → name in :class:`~talkingface.audio.HubertSpeech` or :class:`~talkingface.audio.MFCCSpeech`.

    Args:
        audio: ``"hubert"`` or ``"mfcc"``.
        blocks: of the speech Conformer.
    """
    if audio == "mfcc":
        return _affine("down_sample1", "reduce.0") | _affine("down_sample2", "reduce.1")
    return {
        "weights": "layer_weights",
        **_affine("down_sample1", "downsample"),
        **_conformer("speech_encoder", "conformer", blocks),
    }


def generator_names(attributes: list[str], blocks: int) -> Names:
    """Published name → name in :class:`~talkingface.generators.ConformerDiffusion`.

    Args:
        attributes: of its variance adapter, under our names.
        blocks: of the Conformer.
    """
    names = _conformer("coarse_decoder", "conformer", blocks) | _affine("out_proj", "out")
    for theirs, ours in (
        ("encoder_direction_code", "start_code"),
        ("init_code_proj.0", "portrait_code"),
        ("noisy_encoder.0", "noisy_code"),
        ("t_encoder.0", "step_code"),
    ):
        names |= _affine(theirs, ours)
    for theirs, ours in ATTRIBUTES.items():
        for role in ("predictor", "encoder") if ours in attributes else ():
            names |= _recurrent(f"{theirs}_{role}", f"adapter.{role}s.{ours}")
    return names


def _blocks(tensors: Mapping[str, Tensor], prefix: str) -> int:
    start = f"{prefix}.encoders."
    return len({name.removeprefix(start).partition(".")[0] for name in tensors if name.startswith(start)})


def _conformer(theirs: str, ours: str, blocks: int) -> Names:
    names: Names = {}
    for block in range(blocks):
        a, b = f"{theirs}.encoders.{block}", f"{ours}.blocks.{block}"
        names |= {f"{a}.{name}": f"{b}.{mine}" for name, mine in BLOCK.items()}
        for name, mine in AFFINE_OF_BLOCK.items():
            names |= _affine(f"{a}.{name}", f"{b}.{mine}")
        names |= {f"{a}.conv_module.norm.{last}": f"{b}.convolution.norm.{last}" for last in BATCH_STATISTICS}
    return names


def _recurrent(theirs: str, ours: str) -> Names:
    lstm = [f"{kind}_{way}_l{layer}" for kind in ("weight", "bias") for way in ("ih", "hh") for layer in range(2)]
    return {f"{theirs}.lstm.{name}": f"{ours}.lstm.{name}" for name in lstm} | _affine(f"{theirs}.fc", f"{ours}.linear")


def _affine(theirs: str, ours: str) -> Names:
    return {f"{theirs}.{last}": f"{ours}.{last}" for last in ("weight", "bias")}
