"""A PyTorch Lightning model zoo for talking faces; nothing heavy is imported before it is used."""

from typing import TYPE_CHECKING, Any

from talkingface._version import __version__

if TYPE_CHECKING:
    from talkingface.hub import load_model, save_model
    from talkingface.pipelines import Animation, Animator, load
    from talkingface.registry import parts as list_parts
    from talkingface.weights import find_weights

LAZY = {
    "Animation": ("talkingface.pipelines", "Animation"),
    "Animator": ("talkingface.pipelines", "Animator"),
    "find_weights": ("talkingface.weights", "find_weights"),
    "list_parts": ("talkingface.registry", "parts"),
    "load": ("talkingface.pipelines", "load"),
    "load_model": ("talkingface.hub", "load_model"),
    "save_model": ("talkingface.hub", "save_model"),
}

__all__ = [
    "Animation",
    "Animator",
    "__version__",
    "find_weights",
    "list_parts",
    "load",
    "load_model",
    "save_model",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in LAZY:
        raise AttributeError(f"module 'talkingface' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = LAZY[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
