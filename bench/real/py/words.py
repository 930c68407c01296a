# SPDX-License-Identifier: MIT
"""Counts, sorts and joins the words of a made-up text: strings, tuples, dictionaries."""

import random
import re
import sys
from collections import Counter, defaultdict


def text(rng, words):
    vocabulary = ["".join(rng.choices("etaoinshrdlu", k=rng.randrange(1, 12)))
                  for _ in range(5000)]
    return " ".join(vocabulary[int(5000 * rng.random() ** 3)] for _ in range(words))


def main(rounds):
    rng = random.Random(2)
    check = 0
    for _ in range(rounds):
        body = text(rng, 30000)
        words = re.findall(r"[a-z]+", body)
        counts = Counter(words)
        by_length = defaultdict(list)
        for position, word in enumerate(words):
            by_length[len(word)].append((word, position))
        for pairs in by_length.values():
            pairs.sort()
        pairs = Counter(zip(words, words[1:]))
        upper = [w.upper() + w[::-1] for w in words if counts[w] < 50]
        check += len("".join(upper)) + len(pairs) + counts.most_common(1)[0][1]
    print(check)


main(int(sys.argv[1]))
