"""The learned step that speech encoders share."""

import pytest
import torch

from talkingface.audio import HubertSpeech, MelSpeech, MFCCSpeech
from talkingface.core.errors import ConfigError


def count(module: torch.nn.Module) -> int:
    """Numbers in a checkpoint: parameters and running statistics."""
    return sum(tensor.numel() for tensor in module.state_dict().values())


def test_sizes_are_those_of_the_released_networks():
    hubert, cepstra = HubertSpeech(), MFCCSpeech()
    assert count(hubert.downsample) == 1_573_376
    assert count(hubert.conformer) == 12_666_884
    assert hubert.layer_weights.shape == (25,)
    assert [tuple(conv.weight.shape) for conv in cepstra.reduce] == [(256, 39, 3), (512, 256, 3)]
    assert count(cepstra) == count(cepstra.reduce)  # neither layer weights nor Conformer


def test_layers_count_the_same_before_training():
    encoder = HubertSpeech(dim=8, blocks=0, layers=3, channels=4).eval()
    features = torch.randn(1, 3, 8, 4)
    mean = features.mean(1, keepdim=True).expand(1, 3, 8, 4)
    torch.testing.assert_close(encoder(features, 4), encoder(mean, 4))


def test_a_layer_with_all_the_weight_is_heard_alone():
    encoder = HubertSpeech(dim=8, blocks=0, layers=3, channels=4).eval()
    encoder.layer_weights.data[1] = 50.0
    features = torch.randn(1, 3, 8, 4)
    alone = features[:, 1:2].expand(1, 3, 8, 4)
    torch.testing.assert_close(encoder(features, 4), encoder(alone, 4))
    assert not torch.allclose(encoder(features, 4), encoder(features[:, :1].expand(1, 3, 8, 4), 4))


@pytest.mark.parametrize(
    ("encoder", "steps"), [(HubertSpeech(dim=8, blocks=0, layers=2, channels=4), 2), (MFCCSpeech(dim=8), 4)]
)
def test_without_a_conformer_a_frame_hears_only_its_neighbourhood(encoder, steps):
    shape = (1, encoder.layers, 20 * steps, encoder.channels)
    changed = torch.zeros(shape)
    changed[:, :, 10 * steps : 11 * steps] = 1.0
    with torch.no_grad():
        difference = (encoder(changed, 20) - encoder(torch.zeros(shape), 20)).abs().sum((0, 2))
    assert difference.nonzero().flatten().tolist() == [10, 11]


def test_a_conformer_hears_everything():
    encoder = MelSpeech(dim=8, blocks=1).eval()
    changed = torch.zeros(1, 1, 80, 80)
    changed[:, :, 40:44] = 1.0
    with torch.no_grad():
        assert (encoder(changed, 20) != encoder(torch.zeros(1, 1, 80, 80), 20)).any(-1).all()


def test_a_rate_that_cannot_be_thinned_is_refused():
    class Odd(MelSpeech):
        def __init__(self) -> None:
            super(MelSpeech, self).__init__(rate=75, layers=1, channels=2, dim=8, blocks=0, heads=1, dropout=0.0)

    with pytest.raises(ConfigError, match="75 steps a second"):
        Odd()
