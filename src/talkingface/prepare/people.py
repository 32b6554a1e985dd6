"""Who is who in a source, by face recognition: one person a clip, as AniTalker and Takin-ADA ask for it."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from talkingface.prepare.choose import Span
from talkingface.prepare.records import Source
from talkingface.prepare.tracks import mean_face


def people_of(spans: Sequence[Span], likeness: float) -> list[int]:
    """Number the people of one source, the one who is seen longest first.

    The longest span names the first person; each next shorter one belongs to the person whose mean face is most like
    its own, or is another person where none is like enough.

    Args:
        spans: of the source, with faces.
        likeness: least cosine of two faces of one person.

    Returns:
        For each span the number of its person, from 0.
    """
    faces: list[Tensor] = []  # of each person, the sum over frames
    members: list[list[int]] = []
    for place in sorted(range(len(spans)), key=lambda place: spans[place].first - spans[place].end):
        span = spans[place]
        face = mean_face(span.track.who)
        like = [float(functional.cosine_similarity(other, face, dim=0)) for other in faces]
        if like and max(like) >= likeness:
            person = like.index(max(like))
            faces[person] = faces[person] + face * (span.end - span.first)
            members[person].append(place)
        else:
            faces.append(face * (span.end - span.first))
            members.append([place])
    members.sort(key=lambda own: -sum(spans[place].end - spans[place].first for place in own))
    return [next(person for person, own in enumerate(members) if place in own) for place in range(len(spans))]


def name_of_person(source: Source, number: int) -> str | None:
    """The name of a source's first, second, … person.

    Where the data set says who a source shows, that is the person who is seen longest in it, and the others are
    nobody's. Where it does not, each has a name of their own.

    Args:
        source: what its data set says.
        number: of :func:`people_of`.

    Returns:
        The name; ``None`` for somebody whom the data set does not mean.
    """
    if number == 0:
        return source.identity
    return None if source.named else f"{source.identity}/{number + 1}"
