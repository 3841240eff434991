"""Write the golden hashes: what a minute of training comes to on this processor.

    python benchmarks/golden.py

writes benchmarks/results/golden.json, which tests/test_golden.py compares with. Run it where the
numbers were changed on purpose, and say why in the commit.
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from fathom.ground.processor import processor_name

BITS = Path(__file__).with_name("bits.py")
GOLDEN = Path(__file__).parent / "results" / "golden.json"


def main() -> None:
    """Run bits.py and keep what it prints."""
    command = [sys.executable, BITS, "golden"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = {
        "processor": processor_name(),
        "packages": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        "hashes": dict(json.loads(line) for line in done.stdout.splitlines()),
    }
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
