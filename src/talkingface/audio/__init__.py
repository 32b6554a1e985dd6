"""Speech encoders: sound → condition of a motion generator."""

from talkingface.audio.cepstra import MFCCSpeech
from talkingface.audio.hubert import HubertSpeech
from talkingface.audio.hubert_windows import HubertWindows
from talkingface.audio.live import LiveFeatures
from talkingface.audio.mel import MelSpeech
from talkingface.audio.speech_encoder import SpeechEncoder
from talkingface.audio.stream import FeatureStream
from talkingface.audio.sync_mel import sync_mel, sync_mel_of_clip
from talkingface.audio.whisper import WhisperSpeech

__all__ = [
    "FeatureStream",
    "HubertSpeech",
    "HubertWindows",
    "LiveFeatures",
    "MFCCSpeech",
    "MelSpeech",
    "SpeechEncoder",
    "WhisperSpeech",
    "sync_mel",
    "sync_mel_of_clip",
]
