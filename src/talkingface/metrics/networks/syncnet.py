"""SyncNet: two towers that put a fifth of a second of lips and of speech into one space (Chung and Zisserman, 2016)."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkingface.core.component import load_exactly
from talkingface.core.tensors import read_tensors
from talkingface.metrics.networks.filling import empty, widened

FEATURES = 1024  # length of an embedding
WINDOW = 5  # video frames that one embedding sees
SIZE = 224  # pixels
COEFFICIENTS, COLUMNS = 13, 20  # of the MFCC window that one embedding hears


class SyncNet(nn.Module):
    """The network of ``syncnet_python`` (class ``S``, 1024-d) with its published tensor names; 13.6 million parameters.

    Embeddings are raw: nothing in the network normalises their length.
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_speech(1, 64, 3, padding=1),
            nn.MaxPool2d(1),  # changes nothing; keeps the published numbering of the layers
            *_speech(64, 192, 3, padding=1),
            nn.MaxPool2d(3, stride=(1, 2)),
            *_speech(192, 384, 3, padding=1),
            *_speech(384, 256, 3, padding=1),
            *_speech(256, 256, 3, padding=1),
            nn.MaxPool2d(3, stride=2),
            *_speech(256, 512, (5, 4), padding=0),
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_lips(3, 96, (WINDOW, 7, 7), stride=2, padding=0),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2)),
            *_lips(96, 256, (1, 5, 5), stride=2, padding=1),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            *_lips(256, 256, (1, 3, 3), stride=1, padding=1),
            *_lips(256, 256, (1, 3, 3), stride=1, padding=1),
            *_lips(256, 256, (1, 3, 3), stride=1, padding=1),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2)),
            *_lips(256, 512, (1, 6, 6), stride=1, padding=0),
        )

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> "SyncNet":
        """Build the network from its published file.

        Args:
            path: ``syncnet_v2.model``, or the same tensors as safetensors.
            device: where it computes.

        Raises:
            WeightsError: missing or damaged file, or one of another network.
        """
        network = empty(cls)
        tensors = widened(read_tensors(path))
        # Counters of training steps: files written before PyTorch 0.4.1 lack them, and inference never reads them.
        counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith("num_batches_tracked")}
        load_exactly(network, counters | tensors, str(path))
        return network.eval().requires_grad_(False).to(device)

    def lips(self, frames: Tensor) -> Tensor:
        """Embed every window of five neighbouring frames.

        Neighbouring windows share their frames: nothing is copied five times. The tower runs in two dimensions and
        with the colours innermost, which takes half the time of its three-dimensional layers and differs by rounding.

        Args:
            frames: face crops, BGR float in ``[0, 255]``, ``(T, 3, 224, 224)``, at least five.

        Returns:
            ``(T - 4, 1024)``; row i saw frames i to i + 4.
        """
        embeddings: Tensor = self.netfclip(self.lip_features(frames))
        return embeddings

    def lip_features(self, frames: Tensor) -> Tensor:
        """What the last two layers of the lip tower see; ``(T, 3, 224, 224)`` → ``(T - 4, 512)``."""
        frames = frames.contiguous()
        windows = frames.as_strided((len(frames) - WINDOW + 1, WINDOW * 3, SIZE, SIZE), frames.stride())
        maps = windows.contiguous(memory_format=torch.channels_last)
        for layer in self.netcnnlip:
            maps = _spatially(layer, maps)
        return maps.flatten(1)

    def speech(self, windows: Tensor) -> Tensor:
        """Embed windows of speech.

        Args:
            windows: MFCC of 0.2 s of int16-valued samples, coefficient × time, ``(N, 1, 13, 20)``.

        Returns:
            ``(N, 1024)``.
        """
        embeddings: Tensor = self.netfcaud(self.netcnnaud(windows).flatten(1))
        return embeddings


def _speech(inputs: int, outputs: int, kernel: int | tuple[int, int], padding: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _lips(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int, padding: int) -> list[nn.Module]:
    convolution = nn.Conv3d(inputs, outputs, kernel, stride=(1, stride, stride), padding=(0, padding, padding))
    return [convolution, nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]


def _spatially(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer of the lip tower without its time axis, which has one step behind the first layer."""
    if isinstance(layer, nn.Conv3d):
        kernel = layer.weight.transpose(1, 2).flatten(1, 2)  # time and colour as channels, in the order of the frames
        return functional.conv2d(maps, kernel, layer.bias, layer.stride[1:], layer.padding[1:])
    if isinstance(layer, nn.BatchNorm3d):
        moments = (layer.running_mean, layer.running_var)
        return functional.batch_norm(maps, *moments, layer.weight, layer.bias, eps=layer.eps)
    if isinstance(layer, nn.MaxPool3d):
        window, stride, padding = (_last_two(size) for size in (layer.kernel_size, layer.stride, layer.padding))
        return functional.max_pool2d(maps, window, stride, padding)
    result: Tensor = layer(maps)
    return result


def _last_two(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else size[1:]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, FEATURES))
