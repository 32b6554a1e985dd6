"""What SyncNet sees in lips and hears in speech; the metrics of lip synchrony compare the two."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from talkingface.core.checks import check_finite, check_shape
from talkingface.core.errors import ShapeError, UnscorableError
from talkingface.core.mfcc import int16_values, mfcc, mfcc_windows
from talkingface.metrics.functional.tracking import centres, crop_face
from talkingface.metrics.networks.syncnet import FEATURES, WINDOW, SyncNet
from talkingface.metrics.track import Extractor, Track

SAMPLES = 640  # of a video frame, at 16 kHz and 25 frames a second
CHUNK = 32  # windows of lips that go through the network together, 180 MB of activations
SPEECH_CHUNK = 256  # windows of speech


def window_count(frames: int) -> int:
    """How many windows a stretch of frames gives: five fewer than frames.

    Five frames make one window, so it could be four fewer; the official program drops the last one, for which the
    frames of 25 ms do not quite suffice on the side of the sound.

    Args:
        frames: of video, or of 640 samples.
    """
    return max(0, frames - WINDOW)


def embed_lips(network: SyncNet, crops: Callable[[int, int], Tensor], count: int) -> Tensor:
    """Embed every window of a clip of any length in flat memory.

    Args:
        network: on its device.
        crops: gives the face crops of frames ``first`` to ``last - 1``, uint8 RGB ``(n, 3, 224, 224)``.
        count: how many windows; the crops of ``count + 4`` frames are asked for.

    Returns:
        float32 ``(count, 1024)``, on the CPU.
    """
    device = next(network.parameters()).device
    rows = torch.empty(count, FEATURES)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        bgr = crops(start, stop + WINDOW - 1).flip(1)  # the network was trained on what OpenCV reads
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            rows[start:stop] = network.lips(bgr.to(device).float()).cpu()
    return rows


def embed_speech(network: SyncNet, samples: Tensor, count: int) -> Tensor:
    """Embed the first windows of speech.

    Args:
        network: on its device.
        samples: int16 values at 16 kHz, ``(S,)``, at least ``640 * (count + 5)``.
        count: how many windows.

    Returns:
        float32 ``(count, 1024)``, on the CPU.
    """
    device = next(network.parameters()).device
    windows = mfcc_windows(mfcc(samples), count)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        parts = [network.speech(part.float().to(device)).cpu() for part in windows.split(SPEECH_CHUNK)]
    return torch.cat(parts)


class SyncFeatures(Extractor):
    """SyncNet's embeddings: of the lips for a track of frames, of speech for a track of sound.

    The clean way: frames as they were decoded, one crop for the whole clip, samples straight to coefficients; nothing
    is encoded again. Needs the feature "face" of a video. Row i belongs to frames i to i + 4; T frames, or as many
    times 640 samples, give T - 5 rows. A view (a frozen or delayed copy) has the crop of the track it was cut from.
    """

    networks = ("syncnet",)
    temporal = True
    convention = (
        "sync/clean: SyncNet syncnet_v2, 1024-d, not normalised; video: decoded once, no re-encoding, 25 fps; one crop "
        "a clip from the median of MTCNN's boxes: square of 2.8 half sides (longer side of the box), moved down by "
        "0.4, grey 110 outside, 224×224 bilinear in 8 bits as OpenCV, BGR 0..255, windows of 5 frames; speech: 16 kHz "
        "mono PCM x 32768, MFCC of python_speech_features 0.6, windows of 20 columns every 4; T frames give T-5 windows"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        super().__init__(device, weights)
        self.network = SyncNet.load(self.files["syncnet"], self.device)

    def extract(self, track: Track) -> Tensor:
        """uint8 frames ``(T, 3, H, W)`` → lips ``(T - 5, 1024)``; samples ``(S,)`` → speech ``(S // 640 - 5, 1024)``.

        Raises:
            UnscorableError: fewer than six frames, no face in any of them, or silence.
        """
        return self._hear(track.data) if track.data.ndim == 1 else self._see(track)

    def _see(self, track: Track) -> Tensor:
        frames = track.data
        check_shape(frames, ("T", 3, "H", "W"), "video")
        if frames.dtype != torch.uint8:
            raise ShapeError(f"video is {frames.dtype}, expected uint8 pixels in [0, 255].")
        count = _enough(len(frames), "frames")
        origin, numbers = track.origin()
        boxes = origin.feature("face")[:, :4]
        found = ~boxes.isnan().any(-1)
        if not found.any():
            raise UnscorableError("has no face in any frame")
        place = centres(boxes[found].double().median(0).values).tolist()
        if origin is track:
            return embed_lips(self.network, lambda first, last: crop_face(frames[first:last], *place), count)
        return self._see_again(origin, numbers.unfold(0, WINDOW, 1)[:count], place)

    def _see_again(self, origin: Track, windows: Tensor, place: list[float]) -> Tensor:
        """Rows of a view whose windows are frames ``(count, 5)`` of its origin; none is looked at twice."""
        rows = torch.empty(len(windows), FEATURES)
        seen = (windows.diff(dim=1) == 1).all(1) & (windows[:, 0] < window_count(len(origin)))
        if seen.any():
            rows[seen] = origin.feature("sync")[windows[seen, 0]]
        others, copies = windows[~seen].unique(dim=0, return_inverse=True)
        if len(others):
            fresh = [self._see_window(crop_face(origin.data[window], *place)) for window in others]
            rows[~seen] = torch.cat(fresh)[copies]
        return rows

    def _see_window(self, crops: Tensor) -> Tensor:
        return embed_lips(self.network, lambda first, last: crops[first:last], 1)

    def _hear(self, wave: Tensor) -> Tensor:
        check_finite(wave, "audio")
        count = _enough(len(wave) // SAMPLES, "frames of sound")
        check_sound(wave)
        return embed_speech(self.network, int16_values(wave), count)


def check_sound(samples: Tensor) -> None:
    """Refuse digital silence: every distance to it is the same but for the padding, which would look like a score.

    Args:
        samples: on any scale, ``(S,)``.

    Raises:
        UnscorableError: when all are zero.
    """
    if not samples.any():
        raise UnscorableError("has silent audio")


def _enough(frames: int, what: str) -> int:
    count = window_count(frames)
    if count < 1:
        raise UnscorableError(f"has {frames} {what}, fewer than the {WINDOW + 1} that SyncNet needs")
    return count
