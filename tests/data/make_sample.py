"""Makes ``play-hours-sample.csv`` of the whole file: ``python make_sample.py WHOLE.csv SAMPLE.csv``. See README.md."""

import csv
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

CAP_HOURS = 60.0
LONGEST_USER_HOURS = 400.0
COLLECTOR_GAMES = 40
ROWS = {"collector": 350, "repeater": 150, "other": 500}


def main(whole: Path, sample: Path) -> None:
    with whole.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    of_user: dict[str, list[list[str]]] = {}
    for row in rows:
        of_user.setdefault(row[0], []).append(row)
    left = dict(ROWS)
    chosen: set[str] = set()
    for user in sorted(of_user, key=lambda user: sha256(user.encode()).digest()):
        own = of_user[user]
        kind = kind_of(own)
        if len(own) <= left[kind] and sum(min(float(row[2]), CAP_HOURS) for row in own) <= LONGEST_USER_HOURS:
            left[kind] -= len(own)
            chosen.add(user)
    with sample.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(row for row in rows if row[0] in chosen)


def kind_of(own: list[list[str]]) -> str:
    if len(own) >= COLLECTOR_GAMES:
        return "collector"
    repeats = Counter(row[1] for row in own).most_common(1)[0][1]
    return "repeater" if repeats > 1 else "other"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
