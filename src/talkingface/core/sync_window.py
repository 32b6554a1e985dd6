"""What an expert of lip synchrony sees and hears at once: five frames and sixteen columns of a mel spectrogram.

The numbers are those of Wav2Lip's expert: 80 columns a second beside 25 frames, so that a window of frame f begins at
the column ``floor(80 f / 25)``. A column is centred on its place and as long as :data:`WINDOW`.
"""

RATE = 16000  # Hz
FRAMES = 5  # at 25 fps, a fifth of a second
COLUMNS, BANDS = 16, 80  # of the mel spectrogram, a fifth of a second
WINDOW, HOP = 800, 200  # samples of a column, and from one to the next
SAMPLES = (COLUMNS - 1) * HOP + WINDOW + 1  # that a window hears; pre-emphasis looks one sample back


def first_sample(frame: int) -> int:
    """Where the sound of a window begins in the clip; before the clip for its first frames.

    Args:
        frame: the first of the window.

    >>> [first_sample(frame) for frame in (0, 1, 5)]
    [-401, 199, 2799]
    """
    return 16 * frame // 5 * HOP - WINDOW // 2 - 1
