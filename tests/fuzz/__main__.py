"""``python -m fuzz``: run cases of every format and count their outcomes, or run one file alone."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import shlex
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from fuzz.judging import ACCEPTED, REFUSED
from fuzz.running import Finding, Format, Limits, Tally, base_files, command_for, judge_file, run_cases


def main() -> int:
    """Run what the command line asks for; return 1 if there is a finding."""
    options = _options()
    warnings.simplefilter("ignore")
    logging.getLogger().handlers = [logging.NullHandler()]
    logging.getLogger("genolift").setLevel(logging.INFO)
    from fuzz.formats import FORMATS

    chosen = [made for made in FORMATS if not options.format or made.name in options.format]
    if options.file:
        return _run_alone(chosen[0], options.file.resolve())
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    print(f"seed {seed}: {options.cases} cases of {len(chosen)} formats", flush=True)
    findings = options.findings.resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz.") as folder:
        os.chdir(folder)
        tally = run_cases(
            chosen,
            cases=options.cases,
            seconds=options.seconds,
            seed=seed,
            processes=options.processes,
            folder=Path(folder),
            findings=findings,
            on_finding=_tell,
        )
    _print_counts(tally, time.monotonic() - began)
    _print_findings(tally.findings, findings)
    again = ["python", "-m", "fuzz", "--seed", str(seed), "--cases", str(options.cases)]
    again += [word for name in options.format or () for word in ("--format", name)]
    print(f"the same cases again: PYTHONPATH=src:tests {shlex.join(again)}")
    return 1 if tally.findings else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of all formats together (10000)")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no case after so many (3600)")
    parser.add_argument("--processes", type=int, default=2, help="side by side (2)")
    parser.add_argument("--seed", type=int, help="the same cases again; else one at random, which is printed")
    parser.add_argument("--format", action="append", help="only this format; may be given several times")
    parser.add_argument("--file", type=Path, help="judge this file alone, of --format")
    parser.add_argument("--findings", type=Path, default=Path("results/fuzz"), help="where findings are kept")
    options = parser.parse_args()
    if options.file and len(options.format or []) != 1:
        parser.error("--file needs its --format")
    return options


def _run_alone(made: Format, file: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="fuzz.") as folder:
        os.chdir(folder)
        base_files([made], Path(folder))
        path = Path(folder) / "worker" / f"case{made.suffix}"
        path.parent.mkdir()
        path.write_bytes(file.read_bytes())
        verdict = judge_file(made, path, Limits())
    print(f"{file}: {verdict.kind}{f' ({verdict.place})' if verdict.place else ''}\n{verdict.detail}")
    return int(verdict.is_finding)


def _tell(finding: Finding) -> None:
    print(f"{finding.format} {finding.verdict.kind} ({finding.verdict.place}): {finding.file}", flush=True)


def _print_counts(tally: Tally, seconds: float) -> None:
    print(f"\n{'format':12} {'cases':>7} {REFUSED:>9} {ACCEPTED:>19} {'findings':>9}")
    total: Counter[str] = Counter()
    for name, counts in [*tally.counts.items(), ("all", total)]:
        findings = sum(counts.values()) - counts[REFUSED] - counts[ACCEPTED]
        print(f"{name:12} {sum(counts.values()):7} {counts[REFUSED]:9} {counts[ACCEPTED]:19} {findings:9}")
        total += counts if name != "all" else Counter()
    print(f"in {seconds:.0f} s")


def _print_findings(findings: list[Finding], folder: Path) -> None:
    """Print the first finding of each cause, with the command that runs it alone."""
    causes: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        causes.setdefault((finding.format, finding.verdict.kind, finding.verdict.place), []).append(finding)
    for (name, kind, place), alike in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"\n{name}, {len(alike)} times: {kind} ({place})\n  {alike[0].verdict.detail.strip()[-300:]}")
        print(f"  {command_for(name, alike[0].file)}")
    if findings:
        print(f"\n{len(findings)} findings of {len(causes)} causes are kept in {folder}")


if __name__ == "__main__":
    sys.exit(main())
