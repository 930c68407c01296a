# SPDX-License-Identifier: MIT
"""Four connections, each with keys of its own; prints what the server answers, digested."""
import hashlib
import random
import socket
import sys
import threading


class Connection:
    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")

    def ask(self, line, data=None):
        self.stream.write(line.encode() + b"\r\n")
        if data is not None:
            self.stream.write(data + b"\r\n")
        self.stream.flush()
        return self.stream.readline().rstrip()

    def get(self, key):
        header = self.ask("get " + key)
        if header == b"END":
            return None
        data = self.stream.read(int(header.split()[3]) + 2)[:-2]
        assert self.stream.readline() == b"END\r\n"
        return data


def work(port, number, results):
    connection = Connection(port)
    choose = random.Random(number)
    digest = hashlib.sha256()
    for step in range(6000):
        key = "k%d:%d" % (number, choose.randrange(400))
        action = choose.choice(["set", "set", "get", "append", "delete", "touch", "incr", "gat"])
        if action in ("set", "append"):
            data = (b"%d" % step) * choose.randrange(1, 700)
            answer = connection.ask("%s %s 0 0 %d" % (action, key, len(data)), data)
        elif action == "get":
            answer = connection.get(key) or b"nothing"
        elif action == "incr":
            counter = "c%d" % number
            connection.ask("add %s 0 0 1" % counter, b"0")
            answer = connection.ask("incr %s %d" % (counter, step))
        elif action == "gat":
            answer = connection.ask("touch %s 1000" % key)
        else:
            answer = connection.ask("%s %s" % (action, key) + (" 500" if action == "touch" else ""))
        digest.update(answer)
    results[number] = digest.hexdigest()


def main(port):
    results = {}
    threads = [threading.Thread(target=work, args=(port, n, results)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in sorted(results):
        print(number, results[number])


main(int(sys.argv[1]))
