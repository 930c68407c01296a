# SPDX-License-Identifier: MIT
"""A simulation: customers queue at counters, every event is an object in a heap."""

import heapq
import random
import sys


class Customer:
    def __init__(self, number, at):
        self.number = number
        self.at = at
        self.history = []


class Counter:
    def __init__(self, number):
        self.number = number
        self.queue = []
        self.served = 0


class Event:
    def __init__(self, at, kind, customer, counter):
        self.at = at
        self.kind = kind
        self.customer = customer
        self.counter = counter

    def __lt__(self, other):
        return self.at < other.at


def main(customers):
    rng = random.Random(3)
    counters = [Counter(i) for i in range(20)]
    events = []
    at = 0.0
    for number in range(customers):
        at += rng.expovariate(1.0)
        heapq.heappush(events, Event(at, "comes", Customer(number, at), None))
    waited = 0.0
    while events:
        event = heapq.heappop(events)
        customer = event.customer
        customer.history.append((event.kind, event.at))
        if event.kind == "comes":
            counter = min(counters, key=lambda c: len(c.queue))
            counter.queue.append(customer)
            if len(counter.queue) == 1:
                heapq.heappush(events, Event(event.at + rng.expovariate(0.06), "served", customer,
                                             counter))
            continue
        counter = event.counter
        counter.queue.pop(0)
        counter.served += 1
        waited += event.at - customer.at
        if counter.queue:
            heapq.heappush(events, Event(event.at + rng.expovariate(0.06), "served",
                                         counter.queue[0], counter))
    print(round(waited), sum(c.served for c in counters))


main(int(sys.argv[1]))
