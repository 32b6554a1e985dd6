import pytest
import torch

from talkingface.core.device import resolve_device, seeded
from talkingface.core.errors import DeviceError


def test_auto_gives_a_device_that_computes():
    assert torch.zeros(1, device=resolve_device("auto")).item() == 0


def test_the_cpu_is_always_there():
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused_with_the_way_out(name):
    with pytest.raises(DeviceError, match="--device cpu"):
        resolve_device(name)


def test_a_gpu_beyond_the_last_is_refused():
    with pytest.raises(DeviceError):
        resolve_device("cuda:99")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_an_apple_gpu_that_is_not_there_is_refused():
    with pytest.raises(DeviceError, match="Apple"):
        resolve_device("mps")


def test_a_name_that_means_nothing_is_refused():
    with pytest.raises(DeviceError, match="'gpu0' is not a device"):
        resolve_device("gpu0")


def test_the_same_seed_draws_the_same():
    assert torch.equal(torch.rand(5, generator=seeded(3)), torch.rand(5, generator=seeded(3)))


def test_another_seed_draws_something_else():
    assert not torch.equal(torch.rand(5, generator=seeded(3)), torch.rand(5, generator=seeded(4)))


def test_a_seeded_draw_does_not_disturb_the_global_generator():
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    torch.rand(5, generator=seeded(3))
    assert torch.equal(torch.rand(3), wanted)
