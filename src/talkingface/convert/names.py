"""From our names of tensors to published ones, by rules, so that a missing tensor is named as its authors do."""

import re
from collections.abc import Iterable

from torch import nn

Names = dict[str, str]  # published name → ours
Rules = Iterable[tuple[str, str]]  # pattern in our name → published


def published_names(part: nn.Module, rules: Rules, start: str = "") -> Names:
    """Published name → ours, for every tensor of a part.

    Args:
        part: ours.
        rules: regular expressions and what takes their place; all are applied, one after the other.
        start: what published names of this part begin with.

    >>> published_names(nn.Linear(1, 1), [("bias", "shift")], "fc.")
    {'fc.weight': 'weight', 'fc.shift': 'bias'}
    """
    names = {}
    for ours in part.state_dict():
        theirs = ours
        for pattern, replacement in rules:
            theirs = re.sub(pattern, replacement, theirs)
        names[start + theirs] = ours
    return names
