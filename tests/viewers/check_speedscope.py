# SPDX-License-Identifier: MIT
"""
check_speedscope.py CHROMIUM INDEX_HTML FOLDER: speedscope on profile.pb.gz, .folded and .speedscope.json.
Its flame graphs are drawn on a canvas; the table of its sandwich view is text, and is held against truth.json.
"""

import base64
import html.parser
import json
import os
import re
import sys

import chromium
from truth import Report, Truth, milliseconds


class Table(html.parser.HTMLParser):
    """The cells' text of each row of the document's tables."""

    def __init__(self):
        super().__init__()
        self.rows, self.cell = [], None

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.cell = ""

    def handle_endtag(self, tag):
        if tag == "td" and self.rows:
            self.rows[-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


def open_as(folder, name, steps):
    """The script that speedscope loads by its address: the file itself, then so many profiles further, or back."""
    with open(os.path.join(folder, name), "rb") as file:
        content = base64.b64encode(file.read()).decode()
    path = os.path.join(folder, f"{name}.{steps}.js")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"speedscope.loadFileFromBase64({json.dumps(name)}, {json.dumps(content)});\n")
        for step in range(abs(steps)):
            file.write("setTimeout(() => window.dispatchEvent(new KeyboardEvent('keypress', "
                       f"{{key: '{'n' if steps > 0 else 'p'}'}})), {2000 + 500 * step});\n")
    return path


def time_of(text):
    """Folded stacks have numbers without a unit: ours are nanoseconds."""
    if re.fullmatch(r"[0-9,]+", text):
        return int(text.replace(",", "")) / 1e6, 1e-6
    return milliseconds(text)


def check_table(report, what, text, functions, whole):
    table = Table()
    table.feed(text)
    rows = {row[2]: row[:2] for row in table.rows if len(row) == 3 and row[0].endswith("%)")}
    report.check(set(rows) == set(functions), f"{what}: functions shown {sorted(rows)}, true {sorted(functions)}")
    for name in set(rows) & set(functions):
        for cell, key in zip(rows[name], ("total", "own")):
            match = re.fullmatch(r"(\S+) \([<>]?([0-9.]+)%\)", cell)
            report.check(match is not None, f"{what}: {name}: not understood: {cell}")
            if match:
                shown, tolerance = time_of(match[1])
                report.equal(f"{what}: {name}, {key}", shown, functions[name][key], tolerance + 1e-6 * whole)
                digits = len(match[2].partition(".")[2])
                report.equal(f"{what}: {name}, {key} in percent", float(match[2]),
                             100 * functions[name][key] / whole, 1.0001 * 10.0 ** -digits)


def main():
    program, index, folder = sys.argv[1:]
    report = Report()
    truth = Truth(os.path.join(folder, "truth.json"))
    with_threads = dict(truth.functions)
    if len(truth.threads) > 1:
        for title, time in truth.threads.items():
            with_threads[title] = {"own": 0, "total": time}
    # Of a profile.proto speedscope 1.25 shows the functions that were called, and no inlined ones.
    cases = [("profile.pb.gz", 0, "profile.pb.gz", truth.without_inlined(), truth.whole),
             ("profile.folded", 0, "profile.folded", with_threads, truth.whole)]
    # The thread with the most time is shown first.
    titles = list(truth.threads)
    first = titles.index(max(titles, key=lambda title: truth.threads[title]))
    for number, title in enumerate(titles):
        functions = truth.of_thread(truth.titles.index(title))
        cases.append(("profile.speedscope.json", number - first, title, functions, truth.threads[title]))
    for name, steps, title, functions, whole in cases:
        what = f"{name}, {title}"
        url = f"file://{index}#localProfilePath={open_as(folder, name, steps)}"
        text = chromium.document(program, f"{url}&view=sandwich")
        report.check(title in text, f"{what}: the title is not shown")
        check_table(report, what, text, functions, whole)
        path = os.path.join(folder, f"speedscope-{name}{steps:+}.png" if steps else f"speedscope-{name}.png")
        picture = chromium.picture(program, f"{url}&view=left-heavy", path, size="1200,480")
        picture.check_is_drawn(report, what)
    report.finish()


main()
