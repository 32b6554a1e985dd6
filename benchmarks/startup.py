"""How long the light commands take, Python's own start included, and that none of them imports torch.

python benchmarks/startup.py [--repeat N]
"""

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import talkingface": ["-c", "import talkingface"],
    "talkingface --help": ["-m", "talkingface", "--help"],
    "talkingface list": ["-m", "talkingface", "list"],
    "talkingface show lia": ["-m", "talkingface", "show", "lia"],
    "talkingface fit --help": ["-m", "talkingface", "fit", "--help"],
    "import talkingface, load": ["-c", "import talkingface; talkingface.load"],
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    repeat = parser.parse_args().repeat
    sys.stdout.write(f"{'command':28} median ms   min ms   torch\n")
    for name, arguments in COMMANDS.items():
        imported = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True)
        torch = any(line.rpartition("|")[2].strip() == "torch" for line in imported.stderr.splitlines())
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            times.append((time.perf_counter() - start) * 1000)
        sys.stdout.write(f"{name:28} {statistics.median(times):9.0f} {min(times):8.0f}   {'yes' if torch else 'no'}\n")


if __name__ == "__main__":
    main()
