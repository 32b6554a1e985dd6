"""What looks at videos while they are prepared: loaded once a process, and complete before any work begins."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from talkingface import registry
from talkingface.core.errors import ConfigError, did_you_mean
from talkingface.core.interfaces import ControlReader
from talkingface.metrics.faces import FaceNet
from talkingface.metrics.networks.facenet import MTCNN
from talkingface.metrics.sync import SyncFeatures
from talkingface.prepare.look import Detector, Recognizer
from talkingface.prepare.settings import Settings

RECOGNITION = {"facenet": FaceNet}


@dataclass(frozen=True)
class Networks:
    """Networks of one process; ``None`` is what was not asked for.

    Attributes:
        detect: finds faces, see :func:`~talkingface.prepare.look.look`.
        recognize: tells people apart.
        sync: compares lips with sound.
        controls: reads landmarks, pose, place and size in the pictures of a clip.
        fingerprints: what clips depend on beside settings and source: what was loaded for which setting.
    """

    detect: Detector
    recognize: Recognizer | None = None
    sync: SyncFeatures | None = None
    controls: ControlReader | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def load_networks(settings: Settings, device: str) -> Networks:
    """Load what the settings ask for.

    Args:
        settings: which networks.
        device: where faces are looked for.

    Raises:
        ConfigError: a network or a reader that there is not, or that does not look at pictures.
        WeightsError: a network that is missing, naming the command that fetches it.
    """
    recognize: Recognizer | None = None
    controls: ControlReader | None = None
    fingerprints: dict[str, str] = {}
    if settings.identity:
        if settings.identity not in RECOGNITION:
            known = did_you_mean(settings.identity, RECOGNITION)
            raise ConfigError(f"there is no network of recognition '{settings.identity}'; known: {known}.")
        embedding = RECOGNITION[settings.identity]()
        fingerprints["identity_by"] = json.dumps(embedding.describe(), sort_keys=True)

        def recognize(picture: Tensor, boxes: Tensor) -> Tensor:
            return embedding.embed(embedding.crops(picture.expand(len(boxes), -1, -1, -1), boxes))

    sync = SyncFeatures() if settings.sync else None
    if sync is not None:
        fingerprints["sync_by"] = json.dumps(sync.describe(), sort_keys=True)
    if settings.controls:
        controls = registry.built("controls", settings.controls)
        fingerprints["controls_by"] = controls.fingerprint()
        controls.read(None, np.zeros((1, settings.size, settings.size, 3), np.uint8))  # what it lacks shows here
    return Networks(MTCNN(device).detect, recognize, sync, controls, fingerprints)
