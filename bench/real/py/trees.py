# SPDX-License-Identifier: MIT
"""Builds, walks and drops binary trees of small objects, while one tree stays."""

import sys


class Node:
    __slots__ = ("left", "right", "weight")

    def __init__(self, left, right, weight):
        self.left = left
        self.right = right
        self.weight = weight


def build(depth):
    if depth == 0:
        return Node(None, None, 1)
    return Node(build(depth - 1), build(depth - 1), depth)


def total(node):
    if node is None:
        return 0
    return node.weight + total(node.left) + total(node.right)


def main(depth):
    long_lived = build(depth)
    result = 0
    for d in range(4, depth, 2):
        for _ in range(1 << (depth - d)):
            result += total(build(d))
    print(result + total(long_lived))


main(int(sys.argv[1]))
