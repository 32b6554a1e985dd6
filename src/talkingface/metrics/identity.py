"""Metrics of who is seen: similarity of face embeddings to the target's, and whether there is a face at all."""

from torch import Tensor

from talkingface.core.errors import UnscorableError
from talkingface.metrics.base import MeanMetric
from talkingface.metrics.faces import COUNT
from talkingface.metrics.functional import embedding


class FaceSimilarity(MeanMetric):
    """Cosine of the predicted frame's face embedding and that of the target frame beside it."""

    unit = ""
    higher_is_better = True
    range = (-1.0, 1.0)
    # The least possible value: another person scores about 0, and finding nothing must not score better than that.
    penalty = -1.0

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Embeddings ``(T, D)`` twice → cosine ``(N,)``."""
        return embedding.cosine(*_scorable(prediction, target))


class CSIM(FaceSimilarity):
    """Identity similarity on aligned faces by ArcFace, the primary one."""

    needs = ("video.arcface", "target.arcface")
    convention = (
        "csim/arcface-aligned: cos(target frame t, predicted frame t); target frames without a face left out, "
        "a predicted frame without one counts -1; mean over frames"
    )
    citation = "Deng et al. 2019 (ArcFace)"


class WholeFrameCSIM(FaceSimilarity):
    """Identity similarity of whole frames by ArcFace, as AniTalker's tables have it; for comparison with papers."""

    needs = ("video.arcface-whole", "target.arcface-whole")
    convention = (
        "csim/arcface-whole-frame: cos(target frame t, predicted frame t), no face looked for; mean over frames "
        "(the baseline pools all frames)"
    )
    citation = "vico_challenge_baseline, cited by AniTalker"


class FaceNetCSIM(FaceSimilarity):
    """Identity similarity by a second network, facenet-pytorch's InceptionResnetV1."""

    needs = ("video.facenet", "target.facenet")
    convention = (
        "csim/facenet-vggface2: cos(target frame t, predicted frame t); target frames without a face left out, "
        "a predicted frame without one counts -1; mean over frames"
    )
    citation = "Schroff et al. 2015 (FaceNet); Cao et al. 2018 (VGGFace2)"


class IdentityDistance(MeanMetric):
    """Average euclidean distance of face embeddings as FOMM's code has it: squared, that is ``2 - 2·CSIM``."""

    unit = ""
    higher_is_better = False
    range = (0.0, 4.0)
    needs = ("video.arcface", "target.arcface")
    penalty = 4.0
    convention = (
        "aed-id/arcface-aligned: |a-b|² of the unit vectors of target and predicted frame t, not OpenFace as in FOMM; "
        "target frames without a face left out, "
        "a predicted frame without one counts 4; mean over frames"
    )
    citation = "Siarohin et al. 2019 (FOMM), section 4; code of pose-evaluation"

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Embeddings ``(T, D)`` twice → squared distance ``(N,)``."""
        return embedding.embedding_distance(*_scorable(prediction, target))


class FaceNetIdentityDistance(IdentityDistance):
    """:class:`IdentityDistance` by facenet-pytorch's InceptionResnetV1."""

    needs = ("video.facenet", "target.facenet")
    convention = (
        "aed-id/facenet-vggface2: |a-b|² of the unit vectors of target and predicted frame t, not OpenFace as in FOMM; "
        "target frames without a face left out, "
        "a predicted frame without one counts 4; mean over frames"
    )


class FaceRate(MeanMetric):
    """Share of predicted frames in which a face is found."""

    unit = ""
    higher_is_better = True
    range = (0.0, 1.0)
    needs = ("video.face",)
    convention = "face-rate/mtcnn: share of predicted frames with at least one face; mean over frames"
    citation = "Zhang et al. 2016 (MTCNN)"

    def values(self, faces: Tensor) -> Tensor:
        """Rows of the feature "face" ``(T, 16)`` → 1 or 0 ``(T,)``."""
        return (faces[:, COUNT] >= 1).double()


def _scorable(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The frames whose target has a face."""
    seen = ~target.isnan().any(-1)
    if not seen.any():
        raise UnscorableError("has no face in any frame of its target")
    return prediction[seen], target[seen]
