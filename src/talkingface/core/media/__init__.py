"""Pictures, video and sound in and out of files; everything here is uint8 RGB and mono float32 at 16 kHz."""

from talkingface.core.media.audio import read_audio, write_audio
from talkingface.core.media.memory import MediaBytes
from talkingface.core.media.picture import is_picture, read_picture, write_picture
from talkingface.core.media.probe import VideoInfo, is_video, probe_video
from talkingface.core.media.video_reader import VideoReader
from talkingface.core.media.video_writer import VideoWriter

__all__ = [
    "MediaBytes",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "is_picture",
    "is_video",
    "probe_video",
    "read_audio",
    "read_picture",
    "write_audio",
    "write_picture",
]
