# SPDX-License-Identifier: MIT
"""What known_profile and real_profile say that a viewer has to show, and how differences are told."""

import json
import re
import sys


class Truth:
    """Times in milliseconds, from truth.json. A function counts once in a stack, however often it is there."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            text = json.load(file)
        self.titles = [title for title, _ in text["threads"]]
        self.threads = {title: time for title, time in text["threads"] if time > 0}
        self.labels = {}
        for key, value, time in text["labels"]:
            self.labels.setdefault(key, {})[value] = time
        self.stacks = text["stacks"]
        self.functions = text["functions"]
        self.search = text["search"]
        self.zoom = text["zoom"]
        self.whole = sum(self.threads.values())

    def of_thread(self, thread):
        """The functions of one thread, by its number."""
        return self._sum([(stack["stack"], stack["ms"]) for stack in self.stacks if stack["thread"] == thread])

    def without_inlined(self):
        """The functions that were called: inlined ones are part of those."""
        return self._sum([(stack["called"], stack["ms"]) for stack in self.stacks])

    @staticmethod
    def _sum(stacks):
        functions = {}
        for stack, time in stacks:
            for name in set(stack):
                functions.setdefault(name, {"own": 0, "total": 0})["total"] += time
            functions[stack[-1]]["own"] += time
        return functions

    def tree(self):
        """Time by path: "all", the thread, and the functions called."""
        times = {}
        for stack in self.stacks:
            path = ["all"] + [self.titles[stack["thread"]]] * (len(self.threads) > 1) + stack["stack"]
            for depth in range(1, len(path) + 1):
                key = tuple(path[:depth])
                times[key] = times.get(key, 0) + stack["ms"]
        return times


class Report:
    """Collects what differs; finish() says so and ends the program."""

    def __init__(self):
        self.failures = []
        self.checks = 0

    def check(self, is_right, message):
        self.checks += 1
        if not is_right:
            self.failures.append(message)

    def equal(self, what, shown, true, tolerance):
        self.check(shown is not None and abs(shown - true) <= tolerance,
                   f"{what}: shown {shown}, true {true} (tolerance {tolerance})")

    def finish(self):
        for failure in self.failures:
            print("FAILED:", failure)
        print(f"{self.checks} checks, {len(self.failures)} failed")
        sys.exit(1 if self.failures or self.checks == 0 else 0)


UNITS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3, "min": 6e4, "mins": 6e4, "hrs": 3.6e6}


def milliseconds(text):
    """A viewer's "2600ms", "1.40s" or "0"; and half of its last digit, by which it may be off."""
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?\s*([a-zµ]*)", text.strip())
    if not match or (match[3] not in UNITS and float(match[1]) != 0):
        return None, 0
    unit = UNITS.get(match[3], 0)
    digits = match[2] or ""
    return float(f"{match[1]}.{digits or 0}") * unit, 0.5001 * unit * 10.0 ** -len(digits)
