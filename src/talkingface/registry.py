"""Which parts exist: kind and short name → class. Nothing is imported before it is asked for.

A package of your own adds a part by an entry point in the group ``talkingface.plugins``, named ``kind.name``::

    [project.entry-points."talkingface.plugins"]
    "renderer.mine" = "my_package.renderers:MyRenderer"
"""

import functools
import importlib
from dataclasses import dataclass
from typing import Any

from talkingface.core.errors import ConfigError, did_you_mean

GROUP = "talkingface.plugins"

KINDS = {
    "motion": "picture → motion",
    "renderer": "portrait and motion → picture",
    "retargeting": "keypoints → corrected keypoints",
    "audio": "speech → condition of a motion generator",
    "generator": "condition → motion",
    "controls": "clip → head pose, place and size over time",
    "discriminator": "picture → how real it looks",
    "perceptual": "network whose features compare pictures",
    "metric": "how good a clip is",
    "extractor": "what a network sees in each frame, shared by metrics",
    "layout": "tree of raw videos → its videos, people and splits",
    "data": "training and test clips",
    "task": "what is trained, and how",
}

BUILTIN = {
    ("motion", "latent"): (
        "talkingface.motion:LatentMotion",
        "identity-decoupled latent on a linear basis, 20-d (LIA; AniTalker's HAL and motion decomposition)",
    ),
    ("motion", "liveportrait"): (
        "talkingface.motion:LivePortraitMotion",
        "21 implicit 3D keypoints with head pose and scale, 70-d, by ConvNeXt V2 (LivePortrait; Takin-ADA)",
    ),
    ("motion", "facevid2vid"): (
        "talkingface.motion:FaceVid2VidMotion",
        "15 or 20 implicit 3D keypoints with head pose, by a heat-map network and a ResNet-50 (face-vid2vid)",
    ),
    ("motion", "landmarks"): (
        "talkingface.motion:LandmarkMotion",
        "68 2D landmarks, 136-d, from labels or a reader (AniTalker's Table 4)",
    ),
    ("motion", "coefficients"): (
        "talkingface.motion:CoefficientMotion",
        "3DMM or blendshape coefficients, pose, place and size, from labels or a reader",
    ),
    ("retargeting", "liveportrait"): (
        "talkingface.motion:Retargeting",
        "stitching, eyes and lips: small networks on 21 keypoints (LivePortrait)",
    ),
    ("renderer", "lia"): ("talkingface.renderers:LIARenderer", "flow-warped StyleGAN2 synthesis of LIA"),
    ("renderer", "facevid2vid"): (
        "talkingface.renderers:FaceVid2VidRenderer",
        "feature volume moved by 3D keypoints, SPADE or plain decoder (face-vid2vid, LivePortrait)",
    ),
    ("audio", "hubert"): (
        "talkingface.audio:HubertSpeech",
        "all layers of a frozen HuBERT-large, learned sum, 50→25 Hz, Conformer (AniTalker)",
    ),
    ("audio", "hubert-windows"): (
        "talkingface.audio:HubertWindows",
        "the last layer of a frozen HuBERT-large in windows of nine frames, four projections (ControlTalk)",
    ),
    ("audio", "whisper"): (
        "talkingface.audio:WhisperSpeech",
        "all layers of a frozen Whisper encoder, learned sum, 50→25 Hz, Conformer",
    ),
    ("audio", "mel"): ("talkingface.audio:MelSpeech", "80 log-mel bands, 100→25 Hz, Conformer; nothing pretrained"),
    ("audio", "mfcc"): (
        "talkingface.audio:MFCCSpeech",
        "MFCC with two deltas, 39-d, 100→25 Hz (AniTalker's MFCC variants)",
    ),
    ("generator", "diffusion"): (
        "talkingface.generators:ConformerDiffusion",
        "Conformer diffusion, with pose, place and size predicted or given (AniTalker's stage 2)",
    ),
    ("generator", "regression"): (
        "talkingface.generators:Regression",
        "small Conformer trained by L2, without any draw: the baseline",
    ),
    ("generator", "audio2exp"): (
        "talkingface.generators:Audio2Exp",
        "edits the expression of a portrait or a video so that its lips fit the speech (ControlTalk)",
    ),
    ("discriminator", "lia"): ("talkingface.renderers:LIADiscriminator", "StyleGAN2 discriminator of LIA"),
    ("discriminator", "patch"): (
        "talkingface.renderers:PatchDiscriminator",
        "multi-scale patch discriminator of face-vid2vid",
    ),
    ("perceptual", "vgg19"): ("talkingface.losses:VGG19Perceptual", "multi-scale VGG19 feature distance"),
    ("perceptual", "vgg16"): ("talkingface.losses:VGG16Perceptual", "multi-scale VGG16 feature distance"),
    ("metric", "psnr"): ("talkingface.metrics:PSNR", "peak signal-to-noise ratio per frame, in dB"),
    ("metric", "psnr-pooled"): (
        "talkingface.metrics:PooledPSNR",
        "PSNR of one error over all pixels, as torchmetrics has it",
    ),
    ("metric", "ssim"): ("talkingface.metrics:SSIM", "structural similarity per frame, Wang's window"),
    ("metric", "psnr-y"): ("talkingface.metrics:LumaPSNR", "PSNR of the luma alone, in dB"),
    ("metric", "ssim-y"): ("talkingface.metrics:LumaSSIM", "SSIM of the luma alone"),
    ("metric", "ssim-uniform7"): ("talkingface.metrics:UniformSSIM", "SSIM as scikit-image has it by default"),
    ("metric", "ms-ssim"): ("talkingface.metrics:MultiscaleSSIM", "SSIM over five scales, for frames from 161 px"),
    ("metric", "lpips"): ("talkingface.metrics:LPIPS", "learned perceptual distance, by AlexNet"),
    ("metric", "lpips-vgg"): ("talkingface.metrics:LPIPSVGG", "learned perceptual distance, by VGG16"),
    ("metric", "lpips-squeeze"): ("talkingface.metrics:LPIPSSqueeze", "learned perceptual distance, by SqueezeNet"),
    ("metric", "fid"): ("talkingface.metrics:FID", "Fréchet distance of Inception features, beside real against real"),
    ("metric", "kid"): ("talkingface.metrics:KID", "kernel distance of Inception features, unbiased at any count"),
    ("metric", "fvd"): ("talkingface.metrics:FVD", "Fréchet distance of I3D features, which a plugin must bring"),
    ("metric", "psnr-mouth"): ("talkingface.metrics:MouthPSNR", "PSNR round the target's mouth, in dB"),
    ("metric", "psnr-eyes"): ("talkingface.metrics:EyesPSNR", "PSNR round the target's eyes, in dB"),
    ("metric", "psnr-rest"): ("talkingface.metrics:RestPSNR", "PSNR outside of mouth and eyes, in dB"),
    ("metric", "mae-mouth"): ("talkingface.metrics:MouthError", "mean absolute error round the target's mouth"),
    ("metric", "mae-eyes"): ("talkingface.metrics:EyesError", "mean absolute error round the target's eyes"),
    ("metric", "mae-rest"): ("talkingface.metrics:RestError", "mean absolute error outside of mouth and eyes"),
    ("metric", "ssim-mouth"): ("talkingface.metrics:MouthSSIM", "SSIM round the target's mouth"),
    ("metric", "ssim-eyes"): ("talkingface.metrics:EyesSSIM", "SSIM round the target's eyes"),
    ("extractor", "inception"): ("talkingface.metrics:InceptionFeatures", "2048 features of the network of FID"),
    ("metric", "f-lmd"): ("talkingface.metrics:FaceLMD", "mean distance of 68 landmarks, in pixels"),
    ("metric", "m-lmd"): ("talkingface.metrics:MouthLMD", "mean distance of the mouth's landmarks, in pixels"),
    ("metric", "m-lmd-centred"): ("talkingface.metrics:CentredMouthLMD", "the same about the mouth's centre"),
    ("metric", "f-lmd-procrustes"): (
        "talkingface.metrics:AlignedFaceLMD",
        "landmark distance after similarity alignment of each face",
    ),
    ("metric", "m-lmd-procrustes"): (
        "talkingface.metrics:AlignedMouthLMD",
        "mouth landmark distance after similarity alignment of each face",
    ),
    ("metric", "f-lmd-iod"): (
        "talkingface.metrics:RelativeFaceLMD",
        "landmark distance over the distance of the outer eye corners",
    ),
    ("metric", "m-lmd-iod"): (
        "talkingface.metrics:RelativeMouthLMD",
        "mouth landmark distance over that of the outer eye corners",
    ),
    ("metric", "lmd-atvg"): (
        "talkingface.metrics:SummedMouthLMD",
        "LMD as its authors' code sums it over 20 centred points",
    ),
    ("metric", "akd"): ("talkingface.metrics:AKD", "mean absolute difference of landmark coordinates, as FOMM has it"),
    ("metric", "mkr"): ("talkingface.metrics:MissingFaces", "share of frames in which the prediction lost the face"),
    ("metric", "apd"): (
        "talkingface.metrics:PoseDistance",
        "angle between predicted and true head rotation, in degrees",
    ),
    ("metric", "apd-euler"): (
        "talkingface.metrics:EulerPoseDistance",
        "mean absolute difference of yaw, pitch and roll, in radians",
    ),
    ("metric", "aed-exp"): (
        "talkingface.metrics:ExpressionDistance",
        "mean absolute difference of expression coefficients",
    ),
    ("metric", "head-motion"): ("talkingface.metrics:HeadMotion", "how much the head turns over time, in degrees"),
    ("metric", "head-motion-delta"): (
        "talkingface.metrics:HeadMotionDelta",
        "how much the head turns from frame to frame (ΔP), in degrees",
    ),
    ("metric", "jitter"): ("talkingface.metrics:Jitter", "third difference of stabilised landmarks, in px/s³"),
    ("metric", "jitter-raw"): (
        "talkingface.metrics:RawJitter",
        "third difference of landmarks, head motion included, in px/s³",
    ),
    ("metric", "blink-rate"): ("talkingface.metrics:BlinkRate", "blinks a minute, from the eye aspect ratio"),
    ("metric", "blink-duration"): ("talkingface.metrics:BlinkDuration", "seconds a blink lasts"),
    ("metric", "lip-loudness"): ("talkingface.metrics:LipLoudness", "correlation of lip opening and loudness"),
    ("metric", "silent-lip"): ("talkingface.metrics:SilentLips", "movement of the lips in silence"),
    ("extractor", "landmarks"): ("talkingface.metrics:FANLandmarks", "68 points by face-alignment (2DFAN-4)"),
    ("extractor", "pose"): ("talkingface.metrics:LandmarkPose", "head rotation from 68 landmarks and an average face"),
    ("metric", "csim"): ("talkingface.metrics:CSIM", "identity similarity of aligned faces, by ArcFace"),
    ("metric", "csim-whole"): (
        "talkingface.metrics:WholeFrameCSIM",
        "identity similarity of whole frames, by ArcFace, as AniTalker's tables have it",
    ),
    ("metric", "csim-facenet"): (
        "talkingface.metrics:FaceNetCSIM",
        "identity similarity by facenet-pytorch's network, trained on VGGFace2",
    ),
    ("metric", "aed-id"): (
        "talkingface.metrics:IdentityDistance",
        "squared distance of face embeddings as FOMM's code has it, by ArcFace",
    ),
    ("metric", "aed-id-facenet"): (
        "talkingface.metrics:FaceNetIdentityDistance",
        "the same by facenet-pytorch's network",
    ),
    ("metric", "face-rate"): ("talkingface.metrics:FaceRate", "share of frames in which a face is found"),
    ("extractor", "face"): ("talkingface.metrics:FaceDetector", "largest face and its five points, by MTCNN"),
    ("extractor", "arcface"): ("talkingface.metrics:ArcFace", "identity of the aligned face, 512-d, by ArcFace"),
    ("extractor", "arcface-whole"): (
        "talkingface.metrics:WholeFrameArcFace",
        "identity of the whole frame, 512-d, by ArcFace",
    ),
    ("extractor", "facenet"): ("talkingface.metrics:FaceNet", "identity of the face, 512-d, by facenet-pytorch"),
    ("metric", "lse-d"): ("talkingface.metrics:LSED", "distance of lips and speech at their best shift, by SyncNet"),
    ("metric", "lse-c"): ("talkingface.metrics:LSEC", "confidence of SyncNet that lips and speech are in sync"),
    ("metric", "lse-offset"): ("talkingface.metrics:SyncOffset", "frames by which the audio leads, by SyncNet"),
    ("metric", "lse-d0"): ("talkingface.metrics:UnshiftedLSED", "distance of lips and speech without any shift"),
    ("metric", "lse-c-valid"): ("talkingface.metrics:ValidLSEC", "LSE-C that does not depend on the clip's length"),
    ("metric", "lse-d-compat"): ("talkingface.metrics:CompatLSED", "LSE-D as the official chain of programs prints it"),
    ("metric", "lse-c-compat"): ("talkingface.metrics:CompatLSEC", "LSE-C as the official chain of programs prints it"),
    ("metric", "lse-offset-compat"): (
        "talkingface.metrics:CompatSyncOffset",
        "offset as the official chain of programs prints it",
    ),
    ("extractor", "sync"): ("talkingface.metrics:SyncFeatures", "lips of a video, speech of a sound, by SyncNet"),
    ("extractor", "sync-compat"): (
        "talkingface.metrics.compat:OfficialSync",
        "LSE-D, LSE-C and offset of each face track in a file, by the official chain",
    ),
    ("layout", "folder"): ("talkingface.prepare.layouts:FolderLayout", "PERSON/**/*.mp4, or *.mp4 with a person each"),
    ("layout", "voxceleb1"): (
        "talkingface.prepare.layouts:VoxCeleb1Layout",
        "txt/ID/VIDEO/*.txt and videos/VIDEO.mp4 (VoxCeleb1)",
    ),
    ("layout", "voxceleb2"): (
        "talkingface.prepare.layouts:VoxCeleb2Layout",
        "dev|test/mp4/ID/VIDEO/*.mp4, or …/txt/… and videos (VoxCeleb2)",
    ),
    ("layout", "hdtf"): (
        "talkingface.prepare.layouts:HDTFLayout",
        "*_annotion_time.txt and the videos, anywhere (HDTF)",
    ),
    ("layout", "vfhq"): (
        "talkingface.prepare.layouts:VFHQLayout",
        "Clip+VIDEO+P+C+F.mp4, or such .txt and videos/VIDEO.mp4 (VFHQ)",
    ),
    ("layout", "mead"): (
        "talkingface.prepare.layouts:MEADLayout",
        "PERSON/video/VIEW/EMOTION/level_N/*.mp4 and PERSON/audio (MEAD)",
    ),
    ("data", "synthetic"): ("talkingface.data:SyntheticPairs", "procedural talking heads with ground truth"),
    ("data", "folder"): ("talkingface.data:FolderPairs", "a folder of video clips, split by identity"),
    ("data", "shards"): (
        "talkingface.data:ShardPairs",
        "tar files of 'talkingface pack', read in a row",
    ),
    ("data", "synthetic-clips"): ("talkingface.data:SyntheticClips", "speech and motion of procedural talking heads"),
    ("data", "synthetic-edits"): (
        "talkingface.data:SyntheticEdits",
        "frames of procedural heads beside speech of theirs, for editors",
    ),
    ("data", "folder-edits"): ("talkingface.data:FolderEdits", "frames of real clips beside speech, for editors"),
    ("data", "folder-clips"): ("talkingface.data:FolderClips", "speech and motion of real clips, split by identity"),
    ("controls", "labels"): ("talkingface.controls:LabelControls", "landmarks, pose, place and size from label files"),
    ("controls", "landmarks"): ("talkingface.controls:LandmarkControls", "the same from 68 points by face-alignment"),
    ("controls", "mediapipe"): ("talkingface.controls:MediaPipeControls", "the same by MediaPipe's FaceLandmarker"),
    ("controls", "tracker"): (
        "talkingface.controls:TrackerControls",
        "the same from files beside the clips: a prepared set's, or your own tracker's with a 3DMM",
    ),
    ("controls", "synthetic"): (
        "talkingface.evaluation:SyntheticControls",
        "the same of synthetic people, with their expression, by the face reader",
    ),
    ("data", "synthetic-sync"): (
        "talkingface.data:SyntheticSync",
        "faces of procedural heads, in and out of sync",
    ),
    ("data", "folder-sync"): ("talkingface.data:FolderSync", "faces of real clips, in and out of sync"),
    ("task", "reconstruction"): (
        "talkingface.tasks:Reconstruction",
        "stage 1: one frame of a clip is rendered from another (LIA, AniTalker)",
    ),
    ("task", "generation"): ("talkingface.tasks:Generation", "stage 2: motion is made from speech (AniTalker)"),
    ("task", "editing"): (
        "talkingface.tasks:Editing",
        "stage 2: expressions are edited until the lips fit the speech (ControlTalk)",
    ),
    ("task", "synchrony"): ("talkingface.tasks:Synchrony", "an expert that tells whether lips fit the sound (Wav2Lip)"),
}


@dataclass(frozen=True)
class Part:
    """One line of the registry.

    Args:
        kind: what the part does, a key of :data:`KINDS`.
        name: its short name.
        target: ``"package:Class"``.
        about: one line for ``talkingface list``.
        origin: ``"talkingface"``, or the distribution that brought the part.
    """

    kind: str
    name: str
    target: str
    about: str
    origin: str = "talkingface"

    @property
    def path(self) -> str:
        """``"package.Class"``, as configurations write it."""
        return self.target.replace(":", ".")


def kinds() -> list[str]:
    """The kinds of part."""
    return list(KINDS)


def parts() -> list[Part]:
    """All parts, ours first."""
    return list(_table()[0].values())


def broken() -> dict[str, str]:
    """Plugins that cannot be used: entry point → reason."""
    return dict(_table()[1])


def names(kind: str) -> list[str]:
    """Short names of the parts of a kind.

    >>> names("renderer")[0]
    'lia'

    Raises:
        ConfigError: for an unknown kind, here and below.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no kind of part '{kind}'; known: {did_you_mean(kind, KINDS)}.")
    return [part.name for part in parts() if part.kind == kind]


def describe(kind: str, name: str) -> Part:
    """What the registry knows of a part.

    Raises:
        ConfigError: for an unknown name; the known ones are listed, the nearest first.
    """
    known = names(kind)
    if name not in known:
        reason = broken().get(f"{kind}.{name}")
        if reason:
            raise ConfigError(f"the plugin '{kind}.{name}' cannot be used: {reason}.")
        raise ConfigError(f"there is no {kind} '{name}'; known: {did_you_mean(name, known)}.")
    return _table()[0][kind, name]


def path(kind: str, name: str) -> str:
    """Import path of a part.

    >>> path("renderer", "lia")
    'talkingface.renderers.LIARenderer'

    Raises:
        ConfigError: as :func:`describe`.
    """
    return describe(kind, name).path


def load(kind: str, name: str) -> type:
    """Import the class of a part.

    Raises:
        ConfigError: for an unknown name, or when the module cannot be imported or lacks the class.
    """
    part = describe(kind, name)
    module, _, attribute = part.target.partition(":")
    try:
        found: type = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the {kind} '{name}' of {part.origin} cannot be imported: {error}.") from error
    return found


def built(kind: str, text: str) -> Any:
    """A part of a short name and maybe its settings, as an option has them: ``labels:folder=DIR``.

    Args:
        kind: of the part.
        text: ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``; values are text.

    Raises:
        ConfigError: as :func:`load`, or for settings that the part does not take.
    """
    name, _, settings = text.partition(":")
    values = dict(setting.partition("=")[::2] for setting in settings.split(",") if setting)
    try:
        return load(kind, name)(**values)
    except TypeError as error:
        raise ConfigError(f"'{text}' cannot be made: {error}. See 'talkingface show {kind}.{name}'.") from error


@functools.cache
def _table() -> tuple[dict[tuple[str, str], Part], dict[str, str]]:
    """Parts, and what is wrong with the plugins that are none; read once a process."""
    from importlib.metadata import entry_points  # 20 ms, not needed by ``talkingface --help``

    table = {key: Part(*key, target, about) for key, (target, about) in BUILTIN.items()}
    wrong: dict[str, str] = {}
    for entry in entry_points(group=GROUP):
        kind, _, name = entry.name.partition(".")
        origin = entry.dist.name if entry.dist else entry.value
        reason = _fault(kind, name, entry.value)
        if reason is None and (kind, name) in table:
            reason = f"'{entry.name}' is taken by {table[kind, name].origin}"
        if reason:
            wrong[entry.name] = f"{reason} (from {origin})"
        else:
            table[kind, name] = Part(kind, name, entry.value, f"plugin {entry.value}", origin)
    return table, wrong


def _fault(kind: str, name: str, target: str) -> str | None:
    """What is wrong with an entry point, as far as can be seen without importing its package."""
    from importlib.util import find_spec

    if kind not in KINDS or not name:
        return f"its name must be kind.name with a kind of: {', '.join(KINDS)}"
    module, _, attribute = target.partition(":")
    if not module or not attribute.isidentifier():
        return f"'{target}' is not of the form package.module:Class"
    if find_spec(module.split(".")[0]) is None:
        return f"there is no package '{module.split('.')[0]}'"
    return None
