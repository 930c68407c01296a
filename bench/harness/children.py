# SPDX-License-Identifier: MIT
"""Child processes: started in sessions of their own, and ended by id whatever happens.

A child leads its own session, so a Ctrl-C at the terminal reaches the harness alone, which then
ends exactly what it started.
"""

import json
import os
import signal
import subprocess
import time

from .errors import RowError

LIMIT_S = 900  # no row takes longer unless it hangs

_running = []


def start(command, env, **kwargs):
    child = subprocess.Popen([str(part) for part in command], env=env, start_new_session=True,
                             **kwargs)
    _running.append(child)
    return child


def stop(child, first=signal.SIGTERM, grace=5):
    """Ends a child and what it started; returns when it is gone."""
    for sent in (first, signal.SIGKILL):
        if child.poll() is not None:
            break
        signal_group(child, sent)
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            continue
    signal_group(child, signal.SIGKILL)
    child.wait()
    forget(child)


def signal_group(child, number):
    """The child's session has its id as its group; nobody else is in it."""
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def forget(child):
    if child in _running:
        _running.remove(child)


def stop_all():
    for child in list(_running):
        stop(child, first=signal.SIGKILL)


def output(command, env, limit=LIMIT_S, **kwargs):
    """Runs a command to its end and returns its standard output. RowError if it fails."""
    child = start(command, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                  stdin=kwargs.pop("stdin", subprocess.DEVNULL), text=True, **kwargs)
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise RowError("took longer than %d s" % limit) from None
    finally:
        stop(child)
    if child.returncode != 0:
        raise RowError(failure(child.returncode, err))
    return out


def both_outputs(command, env):
    """What a short command prints, wherever it prints it and however it ends."""
    child = start(command, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                  stderr=subprocess.STDOUT, text=True)
    try:
        return child.communicate(timeout=30)[0]
    except subprocess.TimeoutExpired:
        return ""
    finally:
        stop(child)


def failure(status, err):
    """One line about how a program ended."""
    how = "exit status %d" % status
    if status < 0:
        how = "killed by %s" % signal_name(-status)
    elif status > 128:
        how = "killed by %s" % signal_name(status - 128)
    last = [line.strip() for line in (err or "").splitlines() if line.strip()][-1:]
    return how + (": " + last[0][:200] if last else "")


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def launch(launcher, command, allocator, env=None, times=1, linked_with_jemalloc=False,
           limit=LIMIT_S, **kwargs):
    """Runs a command under an allocator and returns what it used, as ga_launch counts it."""
    reader, writer = os.pipe()
    full = allocator.environment(env)
    full["GA_PRELOAD"] = allocator.preload(linked_with_jemalloc)
    kwargs.setdefault("stdout", subprocess.DEVNULL)
    try:
        child = start([launcher, writer, times] + list(command), full, pass_fds=(writer,),
                      stdin=kwargs.pop("stdin", subprocess.DEVNULL), stderr=subprocess.PIPE,
                      **kwargs)
        os.close(writer)
        writer = None
        try:
            _, err = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise RowError("took longer than %d s" % limit) from None
        finally:
            stop(child)
        with os.fdopen(reader) as pipe:
            reader = None
            text = pipe.read()
    finally:
        for fd in (reader, writer):
            if fd is not None:
                os.close(fd)
    if child.returncode != 0:
        raise RowError(failure(child.returncode, (err or b"").decode(errors="replace")))
    return json.loads(text)


def wait_until(true, limit=10, step=0.02):
    """Waits for a condition; False if it doesn't come true in time."""
    end = time.monotonic() + limit
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True
