# SPDX-License-Identifier: MIT
"""
check_svg.py CHROMIUM FOLDER: profile.svg in Chromium. A copy of it gets a second script, which plays the user: it reads
where the frames were laid out, searches, and zooms, and leaves what it saw in the document, to be held against
truth.json.
"""

import html
import json
import os
import re
import sys

import chromium
from truth import Report, Truth

USER = r"""
(function () {
    function look() {
        return Array.prototype.map.call(document.querySelectorAll('svg.f'), function (element) {
            var rect = element.querySelector('rect').getBoundingClientRect();
            var text = element.querySelector('text');
            return { title: element.firstElementChild.textContent, x: rect.x, y: rect.y, width: rect.width,
                     hidden: element.style.display === 'none', hit: element.classList.contains('hit'),
                     text: text ? text.textContent : '', ends: text ? text.getBoundingClientRect().right : 0 };
        });
    }
    function key(name, options) {
        window.dispatchEvent(new KeyboardEvent('keydown', Object.assign({ key: name, cancelable: true }, options)));
    }
    function search(words) {
        var box = document.querySelector('input');
        box.value = words;
        box.dispatchEvent(new Event('input'));
        return document.querySelector('.result').textContent;
    }
    function frame(name) {
        return Array.prototype.find.call(document.querySelectorAll('svg.f'), function (element) {
            return element.firstElementChild.textContent.split('\n')[0] === name;
        });
    }
    var seen = { start: look() };
    key('f', { ctrlKey: true });
    seen.focused = document.activeElement === document.querySelector('input');
    seen.nothing = search('no such name');
    seen.all = search('a|e|i|o|u');
    seen.found = search(SEARCH);
    seen.hits = look();
    seen.address = location.hash;
    key('Escape');
    seen.cleared = document.querySelector('.result').textContent;
    frame(ZOOM).querySelector('rect').dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
    seen.status = document.querySelector('.status').textContent;
    frame(ZOOM).querySelector('rect').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    seen.zoomed = look();
    document.querySelector('.button').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    seen.reset = look();
    document.documentElement.setAttribute('data-seen', JSON.stringify(seen));
})();
"""


def with_user(folder, truth):
    script = USER.replace("SEARCH", json.dumps(truth.search)).replace("ZOOM", json.dumps(truth.zoom))
    with open(os.path.join(folder, "profile.svg"), encoding="utf-8") as file:
        svg = file.read()
    head, end, tail = svg.rpartition("</svg>")
    path = os.path.join(folder, "profile-with-user.svg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}<script><![CDATA[{script}]]></script>{end}{tail}")
    return path


def by_path(frames):
    """Frames stand in preorder; how far down a frame is says whose callee it is."""
    paths, stack = {}, []
    for frame in frames:
        while stack and stack[-1]["y"] >= frame["y"]:
            stack.pop()
        stack.append(frame)
        paths[tuple(item["title"].split("\n")[0] for item in stack)] = frame
    return paths


def check_frames(report, what, frames, times, whole):
    paths = by_path([frame for frame in frames if not frame["hidden"]])
    report.check(set(paths) == set(times), f"{what}: shown {sorted(paths)}, true {sorted(times)}")
    widest = max(frame["width"] for frame in frames)
    for path in set(paths) & set(times):
        frame = paths[path]
        share = min(1, times[path] / whole)
        report.equal(f"{what}: width of {'; '.join(path)}", frame["width"], widest * share, 0.1)
        report.check(frame["text"] == "" or frame["ends"] <= frame["x"] + frame["width"] + 1,
                     f"{what}: the text of {path} goes beyond its frame")
        report.check(frame["width"] < 60 or frame["text"][:3] == path[-1][:3], f"{what}: {path} has no text")


def check_titles(report, frames, times, whole):
    for path, frame in by_path(frames).items():
        match = re.search(r"\n[0-9.]+ \S+, ([0-9.]+) %", frame["title"])
        report.check(match is not None, f"no share in the tooltip {frame['title']}")
        if match and path in times:
            report.equal(f"share in the tooltip of {path}", float(match[1]), 100 * times[path] / whole, 0.00501)


def matches(times, words, whole):
    """What the search box has to say, and the names of the frames that it marks."""
    hits = [path for path in times if any(word in path[-1] for word in words.split("|"))]
    outermost = [path for path in hits if not any(path[:depth] in hits for depth in range(1, len(path)))]
    share = 100 * sum(times[path] for path in outermost) / whole
    return share, len(hits), sorted(path[-1] for path in hits)


def check_search(report, times, truth, seen):
    report.check(seen["focused"], "ctrl-F does not lead to the search box")
    report.check(seen["nothing"] == "no match", f"search for what is not there: {seen['nothing']}")
    for words, said in ((truth.search, seen["found"]), ("a|e|i|o|u", seen["all"])):
        share, count, _ = matches(times, words, truth.whole)
        match = re.fullmatch(r"matched ([0-9.]+) % in ([0-9]+) frames?", said)
        report.check(match is not None and int(match[2]) == count, f"search for {words}: {said}, true {count} frames")
        if match:
            report.equal(f"search for {words}", float(match[1]), share, 0.0055)
    hits = sorted(frame["title"].split("\n")[0] for frame in seen["hits"] if frame["hit"])
    report.check(hits == matches(times, truth.search, truth.whole)[2], f"frames marked by the search: {hits}")
    report.check("search=" + truth.search.split("|", maxsplit=1)[0] in seen["address"],
                 f"the search is not in the address: {seen['address']}")
    report.check(seen["cleared"] == "", "Escape does not clear the search")
    report.check(seen["status"].startswith(truth.zoom), f"under the pointer: {seen['status']}")


def check_zoom(report, times, truth, seen):
    path = next(path for path in times if path[-1] == truth.zoom)
    inside = {other: time for other, time in times.items() if other[:len(path)] == path}
    callers = {path[:depth]: times[path] for depth in range(1, len(path))}
    check_frames(report, "zoomed", seen["zoomed"], {**callers, **inside}, times[path])
    report.check([(frame["x"], frame["width"]) for frame in seen["reset"]] ==
                 [(frame["x"], frame["width"]) for frame in seen["start"]], "reset does not undo the zoom")


def check_pictures(report, program, folder, word):
    url = "file://" + os.path.join(folder, "profile.svg")
    for name, address, options in (("light", url, ()), ("dark", url, ("--blink-settings=preferredColorScheme=0",)),
                                   ("search", f"{url}#search={word}", ()), ("zoom", url + "#zoom=4", ())):
        path = os.path.join(folder, f"svg-{name}.png")
        picture = chromium.picture(program, address, path, *options, size="1400,320")
        picture.check_is_drawn(report, f"svg, {name}")
    page = os.path.join(folder, "svg-image.html")
    with open(page, "w", encoding="utf-8") as file:
        file.write("<!DOCTYPE html><title>An image runs no scripts</title><img src='profile.svg' width='1000'>\n")
    path = os.path.join(folder, "svg-image.png")
    chromium.picture(program, "file://" + page, path, size="1040,320").check_is_drawn(report, "svg as an image")


def main():
    program, folder = sys.argv[1:]
    report = Report()
    truth = Truth(os.path.join(folder, "truth.json"))
    times = {path: time for path, time in truth.tree().items() if time >= truth.whole / 2000}
    text = chromium.document(program, "file://" + with_user(folder, truth))
    match = re.search(r'data-seen="([^"]*)"', text)
    if not match:
        sys.exit("the script in profile-with-user.svg did not run to its end")
    seen = json.loads(html.unescape(match[1]))
    check_frames(report, "at first", seen["start"], times, truth.whole)
    check_titles(report, seen["start"], times, truth.whole)
    check_search(report, times, truth, seen)
    check_zoom(report, times, truth, seen)
    check_pictures(report, program, folder, truth.search.split("|", maxsplit=1)[0])
    report.finish()


main()
