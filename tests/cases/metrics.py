# SPDX-License-Identifier: MIT
"""The text format of OpenMetrics 1.0 as a grammar: metrics.py FILE prints what is wrong with a text;
metrics.py --bites FILE changes a good text in ways that are wrong, and prints those that pass."""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
VALUE = r'"(?:[^"\\\n]|\\[\\"n])*"'
NUMBER = r"(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?[Ii]nf|NaN)"
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}={VALUE}(?:,{LABEL}={VALUE})*)?)\}})? ({NUMBER})")
META = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.*)")
TYPES = {"gauge", "counter", "unknown", "info", "stateset", "histogram", "gaugehistogram", "summary"}


def check(data):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        return [f"not UTF-8: {e}"]
    if not text.endswith("# EOF\n"):
        return ["no # EOF at the end"]
    wrong, families, family, seen = [], {}, None, set()
    for i, line in enumerate(text[: -len("# EOF\n")].split("\n")[:-1], 1):
        def bad(what):
            wrong.append(f"line {i}: {what}: {line[:80]}")

        m = META.fullmatch(line)
        if m:
            kind, name, rest = m.groups()
            if family is None or name != family["name"]:
                if name in families:
                    bad("a family in two places")
                family = families[name] = {"name": name, "samples": 0}
            if kind in family:
                bad("twice")
            if family["samples"]:
                bad("behind the samples")
            family[kind] = rest
            if kind == "TYPE" and rest not in TYPES:
                bad("no such type")
            if kind == "UNIT" and not (re.fullmatch(r"[a-z_]+", rest) and name.endswith("_" + rest)):
                bad("the name does not end in the unit")
            if kind == "HELP" and re.search(r'(?<!\\)(?:\\\\)*\\[^\\n"]', rest):
                bad("escapes")
            continue
        m = SAMPLE.fullmatch(line)
        if not m:
            bad("neither of the lines there are")
            continue
        name, labels, value = m.groups()
        if family is None:
            bad("no family")
            continue
        counter = family.get("TYPE") == "counter"
        if name != family["name"] + ("_total" if counter else ""):
            bad("not of this family")
        if counter and (value.startswith("-") or value == "NaN"):
            bad("a counter below 0")
        keys = re.findall(rf"({LABEL})={VALUE}", labels or "")
        if len(keys) != len(set(keys)):
            bad("a label twice")
        if (name, labels) in seen:
            bad("a sample twice")
        seen.add((name, labels))
        family["samples"] += 1
    for f in families.values():
        if not {"TYPE", "HELP"} <= f.keys():
            wrong.append(f"{f['name']}: no TYPE or HELP")
        if re.search(r"_(seconds|bytes)$", f["name"]) and "UNIT" not in f:
            wrong.append(f"{f['name']}: no UNIT")
    return wrong


def bites(data):
    changes = [
        ("no EOF", lambda s: s.replace("# EOF\n", "")),
        ("text behind it", lambda s: s + "x 1\n"),
        ("an empty line", lambda s: s.replace("\n", "\n\n", 1)),
        ("no _total", lambda s: s.replace("_total{", "{", 1)),
        ("a raw quote", lambda s: s.replace('query="', 'query=""', 1)),
        ("a raw backslash", lambda s: s.replace('query="', 'query="\\d', 1)),
        ("a comma", lambda s: s.replace('"} ', '",} ', 1)),
        ("two blanks", lambda s: s.replace("} ", "}  ", 1)),
        ("a sample twice", lambda s: re.sub(r"\n(weir_queries \d+)\n", r"\n\1\n\1\n", s, count=1)),
        ("families mixed", lambda s: s.replace("# EOF\n", "# TYPE weir_queries gauge\n# EOF\n")),
        ("a unit that is none", lambda s: s.replace("_bytes bytes", "_bytes seconds", 1)),
        ("a negative counter", lambda s: re.sub(r"_total\{(.*)\} \d", r"_total{\1} -1", s, count=1)),
        ("a type that is none", lambda s: s.replace(" gauge\n", " number\n", 1)),
        ("CRLF", lambda s: s.replace("\n", "\r\n")),
    ]
    text = data.decode("utf-8")
    out = [what for what, change in changes if change(text) == text or not check(change(text).encode())]
    return out + ([] if check(data.replace(b'="', b'="\xff', 1)) else ["not UTF-8"])


args = sys.argv[1:]
with open(args[-1], "rb") as f:
    text = f.read()
print("\n".join((bites if args[0] == "--bites" else check)(text)))
