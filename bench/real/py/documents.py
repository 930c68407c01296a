# SPDX-License-Identifier: MIT
"""Makes documents of dictionaries, lists and strings, writes them as JSON and reads them back."""

import json
import random
import sys


def document(rng, records):
    return [{"id": rng.randrange(10 ** 6),
             "name": "".join(rng.choices("abcdefghijklmnop", k=rng.randrange(4, 30))),
             "scores": [rng.random() for _ in range(rng.randrange(20))],
             "address": {"street": "x" * rng.randrange(10, 80), "number": rng.randrange(300)},
             "tags": ["tag%d" % rng.randrange(1000) for _ in range(rng.randrange(6))]}
            for _ in range(records)]


def main(rounds):
    rng = random.Random(1)
    kept = []
    length = 0
    for _ in range(rounds):
        text = json.dumps(document(rng, 400))
        back = json.loads(text)
        kept.append(back)
        kept = kept[-8:]
        length += len(json.dumps(back, sort_keys=True, indent=1))
    print(length)


main(int(sys.argv[1]))
