"""``python -m faults``: kill and interrupt steps at random moments, run them again, and count."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import secrets
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random

from faults.analysis import ONLY_MADE, STEPS, TRIED_ALWAYS
from faults.trying import FULL, SIGNALS, Outcome, preload, try_once, undisturbed

_NOT_BEGUN = "not begun"


def main() -> int:
    """Run what the command line asks for; return 1 if a step broke a promise."""
    options = _options()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    names = _chosen(options.steps, Random(seed))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    preload()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults.") as made:
        folder = Path(made)
        print(f"seed {seed}: {options.times} of each fault for {', '.join(names)}", flush=True)
        seconds = undisturbed(folder / "base", names, lambda line: print(line, flush=True))
        faults = [*SIGNALS * options.times, *[FULL] * max(1, options.times // 4)]
        tries = [(name, fault) for fault in faults for name in names if fault in options.faults]
        until = time.monotonic() + options.seconds
        begun = multiprocessing.Value("i", 0)  # the number begun by all processes
        workers = [
            _work(tries, begun, seed, folder, seconds, until, folder / f"outcomes-{number}")
            for number in range(options.processes)
        ]
        for worker in workers:
            os.waitpid(worker, 0)
        lines = [line for path in folder.glob("outcomes-*") for line in path.read_text().splitlines()]
        outcomes = [Outcome(**json.loads(line)) for line in lines]
    _print(outcomes, time.monotonic() - began)
    if len(outcomes) < len(tries):
        print(f"{len(tries) - len(outcomes)} tries did not come to an end")
    again = f"--seed {seed} --times {options.times} --steps {shlex.quote(','.join(names))}"
    again += f" --faults {shlex.join(options.faults)}"
    print(f"the same again: PYTHONPATH=src:tests python -m faults {again}")
    nothing = all(outcome.ended == _NOT_BEGUN for outcome in outcomes)
    return 1 if nothing or len(outcomes) < len(tries) or any(outcome.wrong for outcome in outcomes) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--steps", default="all", help="all; some: three and another one by turn; or A,B")
    parser.add_argument(
        "--faults", nargs="+", choices=(*SIGNALS, FULL), default=(*SIGNALS, FULL), help="these alone"
    )
    parser.add_argument("--times", type=int, default=20, help="of each fault for each step (20)")
    parser.add_argument(
        "--seconds", type=float, default=4 * 3600, help="begin no try later than this (14400)"
    )
    parser.add_argument("--processes", type=int, default=2, help="side by side (2)")
    parser.add_argument("--seed", type=int, help="the same moments again; else at random, and printed")
    return parser.parse_args()


def _chosen(steps: str, random: Random) -> list[str]:
    names = [step.name for step in STEPS if step.name not in ONLY_MADE]
    if steps == "all":
        return names
    if steps == "some":
        return [*TRIED_ALWAYS, random.choice([name for name in names if name not in TRIED_ALWAYS])]
    return [name for name in names if name in steps.split(",")]


def _work(
    tries: list[tuple[str, str]],
    begun: Synchronized[int],
    seed: int,
    folder: Path,
    seconds: dict[str, float],
    until: float,
    outcomes: Path,
) -> int:
    """Fork a process that makes tries, begins none after ``until``, and writes their outcomes.

    ``begun`` counts the tries that all processes have begun: each process takes the next.
    """
    process = os.fork()
    if process:
        return process
    steps = {step.name: step for step in STEPS}
    with outcomes.open("w") as file:
        while True:
            with begun.get_lock():
                number = begun.value
                begun.value += 1
            if number >= len(tries):
                break
            (name, fault), there = tries[number], folder / f"try-{number}"
            random = Random(f"{seed} {number}")
            if time.monotonic() > until:
                outcome = Outcome(name, fault, 0, _NOT_BEGUN)
            else:
                outcome = try_once(steps[name], fault, folder / "base", there, seconds[name], random)
            for wrong in outcome.wrong:
                print(f"{name}, {outcome.fault} at {outcome.moment:.3f}: {wrong}", flush=True)
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
    os._exit(0)


def _print(outcomes: list[Outcome], seconds: float) -> None:
    counts = Counter((each.step, each.fault, each.ended, bool(each.wrong)) for each in outcomes)
    print(f"\n{'step':12} {'fault':12} {'what became of it':18} {'tries':>5} {'wrong':>5}")
    for step, fault, ended in sorted({key[:3] for key in counts}):
        right, wrong = counts[step, fault, ended, False], counts[step, fault, ended, True]
        print(f"{step:12} {fault:12} {ended or 'broke a promise':18} {right + wrong:5} {wrong:5}")
    wrong = sum(bool(each.wrong) for each in outcomes)
    begun = sum(each.ended != _NOT_BEGUN for each in outcomes)
    print(f"\n{begun} tries in {seconds:.0f} s, {wrong} of them wrong")


if __name__ == "__main__":
    sys.exit(main())
