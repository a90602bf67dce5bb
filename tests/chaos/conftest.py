"""Makes `benchmarks` and `tests` importable whatever folder and command pytest was started with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
