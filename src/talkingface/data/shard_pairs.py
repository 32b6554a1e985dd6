"""The data module of packed sets."""

import warnings
from pathlib import Path

from torch.utils.data import DataLoader

from talkingface.core.errors import ConfigError
from talkingface.data.modules import Loader, PairModule
from talkingface.data.rendered import Split
from talkingface.data.shards import ShardIndex, ShardStream

# Lightning warns of lengths that workers do not share; ShardStream counts what its workers give together.
warnings.filterwarnings("ignore", message="Your `IterableDataset` has `__len__` defined")


class ShardPairs(PairModule):
    """Pairs of real clips in tar files that ``talkingface pack`` wrote, read from front to back.

    Args:
        root: the packed set.
        size: side of the pictures, in pixels.
        batch_size: pairs a step and process.
        pairs_per_clip: pairs drawn from each training clip in an epoch.
        val_pairs_per_clip: fixed pairs of each unseen clip.
        workers: loading processes.
        seed: of the pairs and of their order, which depends on the number of processes and workers, too.
        candidates: give the training pairs candidates for metric learning, from the buffer.
        buffer: clips that each worker draws from, about 0.5 MB each at 256 px.
    """

    def __init__(
        self,
        root: Path,
        size: int = 256,
        batch_size: int = 8,
        pairs_per_clip: int = 16,
        val_pairs_per_clip: int = 8,
        workers: int = 2,
        seed: int = 0,
        candidates: bool = False,
        buffer: int = 256,
    ) -> None:
        super().__init__(size, batch_size, pairs_per_clip, val_pairs_per_clip, workers, seed, candidates)
        self.root = root
        self.buffer = buffer

    @property
    def people(self) -> int:
        """How many people the training split shows."""
        return len(ShardIndex.read(self.root).people["train"])

    def train_dataloader(self) -> Loader:
        """Fresh pairs in every epoch."""
        stream = self._stream("train", self.pairs_per_clip, fixed=False)
        if not len(stream):
            raise ConfigError(
                f"an epoch has fewer pairs than one step of {self.batch_size} x {stream.world} processes. "
                "Raise pairs_per_clip or lower batch_size."
            )
        return self._streaming(stream)

    def _fixed(self, split: Split) -> Loader:
        return self._streaming(self._stream(split, self.val_pairs_per_clip, fixed=True))

    def _stream(self, split: Split, per_clip: int, fixed: bool) -> ShardStream:
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        return ShardStream(
            self.root,
            split,
            self.size,
            per_clip,
            self.batch_size,
            rank,
            world,
            self.seed,
            fixed,
            self.buffer,
            self.candidates and not fixed,
        )

    def _streaming(self, stream: ShardStream) -> Loader:
        loader: Loader = DataLoader(
            stream, self.batch_size, num_workers=self.workers, persistent_workers=self.workers > 0
        )
        loader.sampler.set_epoch = stream.set_epoch  # type: ignore[attr-defined]  # Lightning tells samplers the epoch
        return loader
