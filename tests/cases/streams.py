# SPDX-License-Identifier: MIT
"""What a program sees of a stream: streams.py COMMAND FILE [ARGUMENT]; prints what it saw."""
import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import sys
import time

command, path = sys.argv[1:3]


def go():
    """Tells the script that what it waits for can begin."""
    print("ready", flush=True)


def nonblock(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    print("heading", os.read(fd, 65536).decode().strip())
    try:
        os.read(fd, 65536)
        print("something")
    except BlockingIOError as e:
        print(errno.errorcode[e.errno])
    # the flag counts as it stands at the read
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
    go()
    print("rows", os.read(fd, 65536).count(b"\n"))


def polling(path):
    fd = os.open(path, os.O_RDONLY)
    p = select.poll()
    p.register(fd, select.POLLIN)
    e = select.epoll()
    e.register(fd, select.EPOLLIN)
    print("heading", p.poll(0) == [(fd, select.POLLIN)], len(e.poll(0)), len(select.select([fd], [], [], 0)[0]))
    os.read(fd, 65536)
    print("none", p.poll(0), e.poll(0), select.select([fd], [], [], 0)[0])
    go()
    began = time.monotonic()
    got = p.poll(30000)
    print("poll", got == [(fd, select.POLLIN)], time.monotonic() - began < 29)
    print("rows", os.read(fd, 65536).count(b"\n"))
    go()
    print("epoll", len(e.poll(30)))
    print("rows", os.read(fd, 65536).count(b"\n"))
    go()
    rows = 0
    while True:  # the end can be read too
        n = len(p.poll(30000))
        data = os.read(fd, 65536)
        rows += data.count(b"\n")
        if not data or not n:
            break
    print("end", n, rows)


def interrupt(path):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 65536)
    buf = ctypes.create_string_buffer(65536)
    signal.signal(signal.SIGALRM, lambda *a: None)
    signal.siginterrupt(signal.SIGALRM, True)
    for _ in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        n = libc.read(fd, buf, 65536)
        if n != -1 or ctypes.get_errno() != errno.EINTR:
            print("got", n, ctypes.get_errno())
            return
    print("EINTR")
    go()
    print("rows", os.read(fd, 65536).count(b"\n"))  # nothing was lost by it


def many(path, n):
    """As many readers as there can be, one more, and one less."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    fds = []
    try:
        while len(fds) < 4000:
            fds.append(os.open(path, os.O_RDONLY))
    except OSError as e:
        print(len(fds), errno.errorcode[e.errno])
    os.close(fds.pop())
    for _ in range(100):  # the kernel tells of it later
        try:
            fds.append(os.open(path, os.O_RDONLY))
            print("again")
            break
        except OSError:
            time.sleep(0.02)


def each(path, n):
    """n readers in one process, with epoll: whether all read the same, to the end."""
    e = select.epoll()
    got = {}
    for _ in range(int(n)):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        got[fd] = []
        e.register(fd, select.EPOLLIN)
    go()
    left = len(got)
    while left:
        for fd, _ in e.poll(30):
            try:
                data = os.read(fd, 131072)
            except BlockingIOError:
                continue
            if data:
                got[fd].append(data)
            else:
                e.unregister(fd)
                left -= 1
    texts = {b"".join(g) for g in got.values()}
    print(len(texts), len(got), texts.pop().count(b"\n"))


{"nonblock": nonblock, "poll": polling, "interrupt": interrupt, "many": many, "each": each}[command](path, *sys.argv[3:])
