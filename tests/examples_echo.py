#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: examples_echo.py PROGRAM: examples/echo.c gives back to each of many what that one sent."""

import socket
import subprocess
import sys
import time

CONNECTIONS = 50


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def connect(port):
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("expected the server to listen")


def receive(connection, size):
    got = b""
    while len(got) < size:
        part = connection.recv(size - len(got))
        if not part:
            break
        got += part
    return got


def converse(port):
    connections = [connect(port) for _ in range(CONNECTIONS)]
    for turn in range(3):
        texts = [b"%d from %d" % (turn, i) * 500 for i in range(CONNECTIONS)]
        for connection, text in zip(connections, texts):
            connection.sendall(text)
        for connection, text in zip(connections, texts):
            if receive(connection, len(text)) != text:
                sys.exit("expected to get back what was sent")
    for connection in connections:
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b"":
            sys.exit("expected the server to close what its client has closed")
        connection.close()


port = free_port()
server = subprocess.Popen([sys.argv[1], str(port)])
try:
    converse(port)
    if server.poll() is not None:
        sys.exit("expected the server to go on")
finally:
    server.kill()
    server.wait()
