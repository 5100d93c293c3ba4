# SPDX-License-Identifier: MIT
"""check_pprof.py GO FOLDER: `go tool pprof -top`, `-tags` and `-traces` on profile.pb.gz, against truth.json."""

import os
import re
import subprocess
import sys

from truth import Report, Truth, milliseconds


def run(go, folder, *options):
    environment = dict(os.environ, PPROF_TMPDIR=folder, PPROF_BINARY_PATH=folder, DEBUGINFOD_URLS="")
    command = [go, "tool", "pprof", *options, os.path.join(folder, "profile.pb.gz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    print("$", *command[1:], "\n" + done.stdout + done.stderr)
    if done.returncode != 0:
        sys.exit(f"go tool pprof failed with status {done.returncode}")
    return done.stdout


def short(name):
    """C++ names as pprof shows them: without the arguments of templates and functions."""
    while re.search(r"<[^<>]*>", name):
        name = re.sub(r"\s*<[^<>]*>", "", name)
    return re.sub(r"\(.*\)$", "", name)


def shown_name(text):
    return text.strip().removesuffix(" (inline)").removesuffix(" (partial-inline)")


def check_top(report, truth, text):
    rows = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\S+)\s+[0-9.]+%\s+[0-9.]+%\s+(\S+)\s+[0-9.]+%\s+(.+)$", line)
        match = match or re.match(r"\s*(0)\s+0%\s+[0-9.]+%\s+(\S+)\s+[0-9.]+%\s+(.+)$", line)
        if match:
            rows[shown_name(match[3])] = (match[1], match[2])
    names = {short(name): times for name, times in truth.functions.items()}
    report.check(set(rows) == set(names), f"-top: functions shown {sorted(rows)}, true {sorted(names)}")
    for name in set(rows) & set(names):
        for text_shown, key in zip(rows[name], ("own", "total")):
            shown, tolerance = milliseconds(text_shown)
            report.equal(f"-top: {name}, {key}", shown, names[name][key], tolerance + 1e-6 * truth.whole)


def check_tags(report, truth, text):
    shown, key = {}, None
    for line in text.splitlines():
        head = re.match(r" (\S.*): Total ", line)
        row = re.match(r"\s+([0-9.]+\S*) \(\s*[0-9.]+%\): (.+)$", line)
        if head:
            key = head[1]
        elif row and key:
            shown.setdefault(key, {})[row[2]] = row[1]
    expected = dict(truth.labels, thread=truth.threads)
    report.check({key: set(values) for key, values in shown.items()} ==
                 {key: set(values) for key, values in expected.items()}, f"-tags: shown {shown}, true {expected}")
    for key, values in expected.items():
        for value, true in values.items():
            time, tolerance = milliseconds(shown.get(key, {}).get(value, ""))
            report.equal(f"-tags: {key}={value}", time, true, tolerance + 1e-6 * truth.whole)


def check_traces(report, truth, text):
    shown = []
    for block in re.split(r"-{5,}\+-{5,}\n", text)[1:]:
        labels = dict(re.findall(r"^\s+(\w+):\s+(.+)$", block, re.M))
        stack = re.sub(r"(?m)^\s+\w+:\s.*\n", "", block)
        frames = re.findall(r"^\s{1,12}([0-9.]+[a-zµ]+)?\s{3}(\S.*)$", stack, re.M)
        if frames:
            shown.append((labels.get("thread"), labels.get("kind", ""), tuple(shown_name(name) for _, name in reversed(frames)),
                          milliseconds(frames[0][0])))
    times = {}
    for stack in truth.stacks:
        key = (truth.titles[stack["thread"]], stack["kind"], tuple(short(name) for name in stack["stack"]))
        times[key] = times.get(key, 0) + stack["ms"]
    for key, true in times.items():
        found = [time for *trace, time in shown if tuple(trace) == key]
        total = sum(time for time, _ in found)
        report.equal(f"-traces: {key}", total, true, sum(tolerance for _, tolerance in found) + 1e-6)
    report.check({tuple(trace) for *trace, _ in shown} == set(times), "-traces: other stacks than the true ones")


def main():
    go, folder = sys.argv[1:]
    report = Report()
    truth = Truth(os.path.join(folder, "truth.json"))
    check_top(report, truth, run(go, folder, "-top", "-nodecount=0", "-nodefraction=0", "-edgefraction=0"))
    check_tags(report, truth, run(go, folder, "-tags"))
    check_traces(report, truth, run(go, folder, "-traces"))
    report.finish()


main()
