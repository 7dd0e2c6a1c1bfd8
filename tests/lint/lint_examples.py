"""Every option has a line in the example configuration, live or commented out."""

import re

from lint_common import ROOT, finish

ROW = re.compile(r'^OPTION\("([^"]*)", "([^"]+)", (OPTION_[A-Z_]+)', re.M)
EXAMPLES = {"gateway/options.def": "gateway.conf.example", "backend/options.def": "conf/backend.conf.example"}
LINE = re.compile(r"^\s*#?\s*([a-z0-9-]+)\s*(?:=|\"|\{)")


def documented(example):
    """(section, option) of every line; sections are recognized commented out as well."""
    section, found = "", set()
    for line in example.read_text().splitlines():
        opened = re.match(r'^\s*#?\s*([a-z0-9-]+)(?:\s+"[^"]*")?\s*\{(.*)$', line)
        if opened:
            found.add(("", opened.group(1)))
            inside = opened.group(2)
            found.update((opened.group(1), name) for name in re.findall(r"([a-z0-9-]+)\s*=", inside))
            if not inside.rstrip().endswith("}"):
                section = opened.group(1)
        elif re.match(r"^\s*#?\s*\}", line):
            section = ""
        elif LINE.match(line):
            found.add((section, LINE.match(line).group(1)))
    return found


problems = []
for table, example in EXAMPLES.items():
    if not (ROOT / example).exists():
        problems.append(f"{example}:1: there is no such file")
        continue
    known = documented(ROOT / example)
    for section, name, kind in ROW.findall((ROOT / table).read_text()):
        if (section, name) not in known:
            where = f' in section "{section}"' if section else ""
            problems.append(f"{example}:1: no line for {name}{where} ({table})")
finish(problems)
