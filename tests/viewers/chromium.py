# SPDX-License-Identifier: MIT
"""Chromium without a screen: the document as it stands after the scripts have run, and a picture of it."""

import os
import struct
import subprocess
import sys
import tempfile
import zlib

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files",
           "--virtual-time-budget=8000"]


def run(chromium, url, *options):
    with tempfile.TemporaryDirectory(prefix="chromium-") as home:
        command = [chromium, *OPTIONS, f"--user-data-dir={home}", *options, url]
        environment = dict(os.environ, HOME=home, XDG_CACHE_HOME=home, XDG_CONFIG_HOME=home)
        done = subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode()


def document(chromium, url, size="1400,900"):
    return run(chromium, url, f"--window-size={size}", "--dump-dom")


def picture(chromium, url, path, *options, size="1400,900"):
    run(chromium, url, f"--window-size={size}", *options, f"--screenshot={path}")
    print("picture:", path)
    return Picture(path)


class Picture:
    """A PNG with 8 bits a channel, as Chromium writes them."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG"
        at, packed = 8, b""
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at:at + 8])
            body = data[at + 8:at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, depth, color = struct.unpack(">IIBB", body[:10])
                assert depth == 8 and color in (2, 6), f"{path}: unexpected kind of PNG"
                channels = 3 if color == 2 else 4
            elif kind == b"IDAT":
                packed += body
            at += 12 + length
        self.colors = self._count(zlib.decompress(packed), channels)

    def _count(self, raw, channels):
        """How many pixels there are of each color."""
        stride = self.width * channels
        before, counts = bytes(stride), {}
        for y in range(self.height):
            kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
            if any(line) or kind != 2:
                self._unfilter(kind, line, before, channels)
            else:
                line = before
            for i in range(0, stride, channels):
                pixel = bytes(line[i:i + 3])
                counts[pixel] = counts.get(pixel, 0) + 1
            before = line
        return counts

    @staticmethod
    def _unfilter(kind, line, before, channels):
        for i, value in enumerate(line):
            left = line[i - channels] if i >= channels else 0
            above, corner = before[i], before[i - channels] if i >= channels else 0
            if kind < 4:
                guess = (0, left, above, (left + above) // 2)[kind]
            else:
                exact = left + above - corner
                guess = min((left, above, corner), key=lambda near: abs(exact - near))
            line[i] = (value + guess) & 255

    def check_is_drawn(self, report, what):
        counts = self.colors
        most = max(counts.values()) / (self.width * self.height)
        report.check(len(counts) >= 30 and most < 0.97,
                     f"{what}: looks blank: {len(counts)} colors, {100 * most:.1f} % of one")
