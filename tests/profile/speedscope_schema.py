# SPDX-License-Identifier: MIT
"""Checks speedscope's JSON on standard input against what its format says of sampled profiles.

Written from the public description of the format (https://www.speedscope.app/file-format-schema.json); fields that
it does not know are errors here. Status 77: the jsonschema package is missing.
"""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

INDEX = {"type": "integer", "minimum": 0}
FRAME = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "file": {"type": "string"},
        "line": {"type": "number"},
        "col": {"type": "number"},
    },
}
SAMPLED = {
    "type": "object",
    "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "sampled"},
        "name": {"type": "string"},
        "unit": {"enum": ["bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"]},
        "startValue": {"type": "number"},
        "endValue": {"type": "number"},
        "samples": {"type": "array", "items": {"type": "array", "items": INDEX}},
        "weights": {"type": "array", "items": {"type": "number", "minimum": 0}},
    },
}
FILE = {
    "type": "object",
    "required": ["$schema", "profiles", "shared"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "additionalProperties": False,
            "properties": {"frames": {"type": "array", "items": FRAME}},
        },
        "profiles": {"type": "array", "minItems": 1, "items": SAMPLED},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": INDEX,
    },
}

try:
    jsonschema.validate(json.loads(sys.stdin.buffer.read().decode("utf-8", "strict")), FILE)
except (ValueError, jsonschema.ValidationError) as error:
    sys.exit(str(error))
