"""The official chain as an extractor, so that its three values are computed once for all three metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from talkingface.core.errors import UnscorableError
from talkingface.core.media.probe import opened
from talkingface.metrics.compat import ffmpeg
from talkingface.metrics.compat.chain import official_sync
from talkingface.metrics.networks.syncnet import SyncNet
from talkingface.metrics.track import Extractor, Track


class OfficialSync(Extractor):
    """LSE-D, LSE-C and offset of each face track of the predicted file; ``(tracks, 3)``.

    Needs the program ffmpeg and the file that the frames were decoded from, not the frames themselves: what codecs
    do to picture and sound on the way is part of these numbers.

    Attributes:
        rates: sample rates of the sound in the files seen so far, in Hz; the MP3 encoder's delay, and with it the
            score, depends on them: 69 ms of sound and two frames at 16 kHz, 23 ms and one frame at 48 kHz.
    """

    networks = ("syncnet", "s3fd")
    temporal = True
    convention = (
        "sync/compat: syncnet_python 6efbb1c replayed from the file: AVI (mpeg4 q2, 25 fps, MP3 sound), JPEG q2, S3FD "
        "at 0.25 above 0.9, shots of at least 100 frames (ContentDetector 30 of PySceneDetect 0.5.1), tracks by IoU "
        "above 0.5 with gaps up to 25 frames and more than 100 boxes, mean side above 100 px, median filter 13, XVID "
        "crops 224 px, JPEG of ffmpeg's own quality, wav 16 kHz of the AVI; SyncNet, 15 shifts; every face track of a "
        "clip weighs the same"
    )

    def __init__(self, device: str = "cpu", weights: Mapping[str, str | Path] | None = None) -> None:
        from talkingface.metrics.networks.s3fd import S3FD

        super().__init__(device, weights)
        self.network = SyncNet.load(self.files["syncnet"], self.device)
        self.detector = S3FD(self.files["s3fd"], self.device)
        self.rates: set[int] = set()

    def extract(self, track: Track) -> Tensor:
        """Distance, confidence and offset of each face track, float32 ``(tracks, 3)``.

        Raises:
            UnscorableError: a track that was not decoded from a file, a file without sound, one in which no face can
                be followed over more than 100 frames, or no ffmpeg on this machine.
        """
        if track.path is None:
            raise UnscorableError("has no file; the official chain needs the predicted file, not its frames")
        with opened(track.path) as container:
            if not container.streams.audio:
                raise UnscorableError("has no sound track; the official chain scores the sound in the file")
            rate = container.streams.audio[0].codec_context.sample_rate
        found = official_sync(track.path, self.network, self.detector)
        self.rates.add(rate)
        return torch.tensor([[sync.distance, sync.confidence, sync.offset] for sync in found])

    def describe(self) -> dict[str, Any]:
        """As :meth:`Extractor.describe`, with the version of ffmpeg and the sample rates of the files."""
        return super().describe() | {"ffmpeg": ffmpeg.version(), "input sample rates": sorted(self.rates)}
