"""``python -m talkingface``."""

import sys

from talkingface.cli import main

if __name__ == "__main__":
    sys.exit(main())
