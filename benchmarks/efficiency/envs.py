"""Builds the peers' own environments from their pinned requirements, one at a time.

    python benchmarks/efficiency/envs.py            # all: some five minutes and 2.5 GB
    python benchmarks/efficiency/envs.py physbo     # one; --fresh builds it again

Ours and BoTorch by hand run in the project's own environment, which constraints.txt pins. PyTorch is installed first: on
Linux its default build brings gigabytes of CUDA libraries, and `--torch-index` takes it from elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency.peers import ENVIRONMENTS, KINDS, Kind


def stamp(kind: Kind) -> str:
    """What a finished environment carries: the hash of its requirements."""
    return hashlib.sha256((kind.folder / "requirements.txt").read_bytes()).hexdigest()


def ready(kind: Kind) -> bool:
    """Whether its environment is there and was built from these requirements."""
    mark = ENVIRONMENTS / kind.name / "built"
    return kind.shared or (mark.exists() and mark.read_text() == stamp(kind))


def build(kind: Kind, torch_index: str = "", fresh: bool = False) -> None:
    """Make it, unless it is there. What was left half done is taken away first."""
    if ready(kind) and not fresh:
        print(f"{kind.name}: ready")
        return
    begun = time.perf_counter()
    folder = ENVIRONMENTS / kind.name
    shutil.rmtree(folder, ignore_errors=True)
    ENVIRONMENTS.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(kind.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = (kind.folder / "requirements.txt").read_text().split()
    torch = [line for line in wanted if line.startswith("torch==")]
    if torch:
        subprocess.run([*pip, *(["--index-url", torch_index] if torch_index else []), *torch], check=True)
    subprocess.run([*pip, "--requirement", str(kind.folder / "requirements.txt")], check=True)
    (folder / "built").write_text(stamp(kind))
    print(f"{kind.name}: built in {time.perf_counter() - begun:.0f} s")


def main() -> None:
    """Build those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", help=", ".join(kind.name for kind in KINDS if not kind.shared))
    parser.add_argument("--torch-index", default="", help="where to take PyTorch from, such as its CPU-only wheels")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    known = {kind.name: kind for kind in KINDS}
    if unknown := sorted(set(options.peers) - set(known)):
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    for name in options.peers or known:
        if not known[name].shared:
            build(known[name], options.torch_index, options.fresh)


if __name__ == "__main__":
    main()
