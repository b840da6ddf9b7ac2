"""How fast genolift is, compared with the least that must be computed and with other packages.

    python benchmarks/speed.py --out benchmarks/results
    python benchmarks/speed.py --device cuda --precisions float32 tf32 bfloat16 --out benchmarks/results-cuda
    python benchmarks/speed.py --profile bpnet

Writes speed.json, speed.md and ratios.png, and with --scaling also scaling.png, and prints speed.md. Peers
that are not installed are left out, and the table says so (`pip install -e '.[benchmark]'` installs them).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from machine import device_named, machine
from measure import Settings, measure, said
from models import SHAPES
from peers import PEERS
from plots import draw_ratios, draw_scaling
from profiling import step_profile
from scaling import scaling, slope
from tables import markdown

BY_DEFAULT = [name for name in SHAPES if name != "chrombpnet"]  # hours on a CPU: see gpu_check.py
PRECISIONS = ("float32", "tf32", "bfloat16")


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda", "pretended"), default="cpu")
    parser.add_argument("--models", nargs="+", choices=SHAPES, help="all but chrombpnet, with --quick two")
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, help="beside float32 (bfloat16; tf32 too on a GPU)"
    )
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scaling", action="store_true", help="also cost against n, r and length")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="the least work that runs everything, once")
    parser.add_argument("--profile", metavar="MODEL", choices=SHAPES, help="print operators by time, and end")
    parser.add_argument("--rule", default="rescale", help="the rule that --profile runs (rescale)")
    return parser.parse_args()


def main() -> None:
    a = arguments()
    device = device_named(a.device)
    others = a.precisions or (["tf32", "bfloat16"] if device.type == "cuda" else ["bfloat16"])
    if a.profile:
        precision = a.precisions[0] if a.precisions else "float32"
        print(step_profile(a.profile, device, a.rule, precision, quick=a.quick))
        return
    precisions = ("float32", *(precision for precision in others if precision != "float32"))
    rounds = 1 if a.quick else a.rounds
    settings = Settings(device, precisions, rounds, tuple(a.peers), a.quick)
    a.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine(device), "rounds": rounds, "models": []}
    command = " ".join(["python benchmarks/speed.py", *sys.argv[1:]])
    for name in a.models or (["paper", "basset"] if a.quick else BY_DEFAULT):
        said(name)
        results["models"].append(measure(SHAPES[name], settings))
        _write(results, a.out, device, command)
    if a.scaling:
        results["scaling"] = scaling(device, min(rounds, 3), quick=a.quick)
        _write(results, a.out, device, command)
    print((a.out / "speed.md").read_text())


def _write(results: dict[str, Any], out: Path, device: torch.device, command: str) -> None:
    """Write all results so far, so that a run that is stopped keeps what it has measured."""
    (out / "speed.json").write_text(json.dumps(results, indent=1) + "\n")
    text = markdown(results["machine"], results["models"], device.type, command)
    draw_ratios(results["models"], out / "ratios.png")
    if "scaling" in results:
        draw_scaling(results["scaling"], out / "scaling.png")
        text += "\n## Cost against size\n\nSlope of log time against log size, 1 where linear: "
        text += ", ".join(f"{axis} {slope(points):.2f}" for axis, points in results["scaling"].items()) + "\n"
    (out / "speed.md").write_text(text)


if __name__ == "__main__":
    main()
