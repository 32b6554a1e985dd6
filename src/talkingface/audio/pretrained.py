"""Speech encoders on a frozen network of transformers: where it lies, how it is read, what its layers give."""

import functools
import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from talkingface.audio.speech_encoder import SpeechEncoder
from talkingface.core.component import load_exactly
from talkingface.core.errors import WeightsError
from talkingface.core.frozen import Frozen
from talkingface.core.tensors import read_tensors
from talkingface.weights import CONFIG_FILE, find_weights, model_file, sha256

# PyTorch 2 keeps normalised weights under other names than the published files.
RENAMED = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}


class PretrainedSpeech(SpeechEncoder):
    """Hidden states of a frozen network, at 50 Hz: all of them, or what a subclass makes of them.

    The network is looked for and read when features are first asked for; a saved model can be loaded, and trained from
    cached features, without it.

    Args:
        network: its name in the manifest of networks.
        weights: folder of a local copy; by default it is looked for.
        states: how many hidden states the network has, its layers and their input, and how wide they are.
        rate, layers, channels: of the features; where these are the hidden states themselves, 50 and ``states``.
        dim, blocks, heads, dropout: of the learned step, see :class:`SpeechEncoder`.

    Attributes:
        model_type: what transformers calls the family of the network.
        landmark: a tensor that every network of the family has; what its name begins with in a file is left out.
    """

    model_type: ClassVar[str]
    landmark: ClassVar[str]

    def __init__(
        self,
        *,
        network: str,
        weights: str | None,
        states: tuple[int, int],
        rate: int = 50,
        layers: int | None = None,
        channels: int | None = None,
        dim: int,
        blocks: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__(
            rate=rate,
            layers=layers or states[0],
            channels=channels or states[1],
            dim=dim,
            blocks=blocks,
            heads=heads,
            dropout=dropout,
        )
        self._name, self._weights, self._states = network, weights, states
        self._network: Frozen | None = None

    @abstractmethod
    def build(self, config: dict[str, Any]) -> nn.Module:
        """The network without weights, from the content of its ``config.json``."""

    def hidden_states(self, inputs: Tensor) -> Tensor:
        """What the network makes of its inputs, ``(B, L, T, C)``.

        Raises:
            WeightsError: when the network is not on this machine, or is of another family or size.
        """
        if self._network is None:
            self._network = Frozen(self._load(find_weights(self._name, self._weights)))
        output = self._network.to(inputs.device)(inputs, output_hidden_states=True)
        # The last state is the normalised one, as in transformers 4; later releases give HuBERT's as it is before that.
        return torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=1)

    def frozen_files(self) -> list[str]:
        """Digests of the network's configuration and weights."""
        folder = find_weights(self._name, self._weights)
        return [_digest(path, path.stat().st_mtime_ns) for path in (folder / CONFIG_FILE, model_file(folder))]

    def _load(self, folder: Path) -> nn.Module:
        network = load_network(self.build, folder, self.model_type, self.landmark)
        config: Any = network.config
        layers = getattr(config, "encoder_layers", None) or config.num_hidden_layers
        if (layers + 1, config.hidden_size) != self._states:
            raise WeightsError(
                f"the network in {folder} gives {layers + 1} layers of {config.hidden_size} channels, but "
                f"{type(self).__name__} was set up for {self._states[0]} of {self._states[1]}; set 'layers' and "
                "'channels'."
            )
        return network


def load_network(
    build: Callable[[dict[str, Any]], nn.Module], folder: Path, model_type: str, landmark: str
) -> nn.Module:
    """Read a network of transformers from its folder; every weight must be there, and nothing is unpickled.

    Args:
        build: makes it from the content of ``config.json``.
        folder: ``config.json`` beside ``model.safetensors`` or ``pytorch_model.bin``.
        model_type: what transformers calls its family.
        landmark: name of a tensor of it; where the file holds a larger model, its parts outside are left out.

    Raises:
        WeightsError: for another kind of network, or files that are missing or damaged.
    """
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{folder / CONFIG_FILE} is not valid JSON ({error}). Copy the folder again.") from error
    if config.get("model_type") != model_type:
        raise WeightsError(f"{folder} holds a model of type '{config.get('model_type')}', not '{model_type}'.")
    with torch.device("meta"):  # no time spent on random weights that are replaced at once
        network = build(config).float()
    path = model_file(folder)
    tensors = {_present_name(name): tensor for name, tensor in read_tensors(path).items()}
    prefix = next((name.removesuffix(landmark) for name in tensors if name.endswith(landmark)), "")
    found = {name: tensors[prefix + name].float() for name in network.state_dict() if prefix + name in tensors}
    network = network.to_empty(device="cpu")
    load_exactly(network, found, str(path))
    return network


def _present_name(name: str) -> str:
    for old, new in RENAMED.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


@functools.cache
def _digest(path: Path, changed: int) -> str:
    """SHA-256 of a file, computed once a process; ``changed`` is when it last was, so that a new file is read again."""
    return sha256(path)
