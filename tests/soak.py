# SPDX-License-Identifier: MIT
"""A mount under all sorts of use at random, for SOAK_SECONDS (1800): make soak.

A pipe, and an interface where there may be one, bring packets all the time. Queries are made, replaced,
steered and removed; streams, logs, tables, versions, records and metrics are read by programs that are
killed, that sleep, or that read on. At times all that rests, and what the process then takes is noted.

It fails where a reader that reads on misses a row or gets one twice, where sums are not what was sent,
where memory, descriptors or threads grow (memory by more than 5 %), where the mount does not answer, or
where it does not end. SOAK_SEED repeats a run's choices. BUILD is the build to test.
"""
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("SOAK_SEED", str(int(time.time()))))
RATE = int(os.environ.get("SOAK_RATE", "2000"))  # packets a second, of each source
WEIR = os.environ.get("WEIR", os.path.join(os.environ.get("BUILD", "build"), "weir"))
GROWTH, SLACK = 1.05, 4 << 20  # beside 5 %, what one allocation more or less is
BATCH = 20
SPECS = [
    "{s} | print ts srcip dstport len",
    "{s} | group srcip count() as n sum(len) as bytes | sort -r n | head 20",
    "set keep 5 set refresh 100ms {s} | group dstport count() as n",
    "{s} | window 1s | group ipprotocol count() sum(len)",
    "{s} | window 5s slide 1s | group srcip distinct(dstip) as peers | sort -r peers | head 5",
    "{s} | uniq srcip dstport | print srcip dstport",
    "set retain 16KB {s} | where len > 60 | print ts len",
    "{s} | split srcip ( count | last count )",
    "{s} | where srcip = 10.0.0.1",
    "set refresh 50ms {s} | group srcip percentile(len, 95) as p",
]
failures = []
rng = random.Random(SEED)
stop = threading.Event()
calm = threading.Event()


def fail(what):
    failures.append(what)
    print("WRONG:", what, flush=True)


def packet(i):
    """Number i as its time, in microseconds: readers see by it what they miss."""
    host = i * 2654435761 % 200
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 46, i & 0xFFFF, 0, 64, 17, 0, bytes([10, 0, 0, host]), bytes([10, 1, 0, 1]))
    udp = struct.pack(">HHHH", 1024 + host, i % 50 + 1, 26, 0)
    return bytes(12) + b"\x08\x00" + ip + udp + bytes(18)


class Pipe(threading.Thread):
    def __init__(self, path):
        super().__init__()
        self.fd, self.sent = os.open(path, os.O_WRONLY), 0
        os.write(self.fd, struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

    def run(self):
        while not stop.is_set():
            out = b""
            for i in range(self.sent, self.sent + BATCH):
                p = packet(i)
                out += struct.pack("<IIII", 1_000_000_000 + i // 10**6, i % 10**6, len(p), len(p)) + p
            while out:
                out = out[os.write(self.fd, out):]
            self.sent += BATCH
            time.sleep(BATCH / RATE)
        os.close(self.fd)


class Wire(threading.Thread):
    def __init__(self):
        super().__init__()
        self.raw, self.sent = socket.socket(socket.AF_PACKET, socket.SOCK_RAW), 0
        self.raw.bind(("there", 0))

    def run(self):
        while not stop.is_set():
            for i in range(self.sent, self.sent + BATCH):
                self.raw.send(packet(i))
            self.sent += BATCH
            time.sleep(BATCH / RATE)


class Follower(threading.Thread):
    """Reads a stream to its end; each row's time is one microsecond behind the one before."""

    def __init__(self, path):
        super().__init__()
        self.file, self.rows, self.lost, self.next = open(path, "rb", buffering=0), 0, 0, None
        self.rest = b""

    def take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            gap = re.fullmatch(rb"# (\d+) rows lost", line)
            if gap:
                self.lost += int(gap[1])
                self.next += int(gap[1])
                continue
            at = line.split(b",")[0].split(b".")
            if not at[0].isdigit():
                continue
            n = (int(at[0]) - 1_000_000_000) * 10**6 + int(at[1])
            if self.next is not None and n != self.next:
                fail(f"a reader got row {n} instead of {self.next}")
            self.next = n + 1
            self.rows += 1

    def run(self):
        while data := self.file.read(65536):
            self.take(data)


class LogFollower(Follower):
    """The same of a log, as tail -f does."""

    def run(self):
        ended = False
        while True:
            data = self.file.read(65536)
            if data:
                self.take(data)
            elif ended:
                break
            else:
                ended = stop.is_set() and query_state("all") != "running"
                time.sleep(0.05)


def read(path, limit=1 << 22):
    try:
        with open(path, "rb") as f:
            return f.read(limit)
    except OSError:  # it went meanwhile
        return b""


def write(path, text):
    try:
        with open(path, "wb", buffering=0) as f:
            f.write(text.encode() + b"\n")
        return True
    except OSError:
        return False


def query_state(name):
    m = re.search(rb"^state: (\w+)", read(f"{mnt}/queries/{name}/status"), re.M)
    return m[1].decode() if m else ""


class User(threading.Thread):
    """Does one thing after the other."""

    def __init__(self, sources):
        super().__init__()
        self.rng, self.sources, self.names, self.procs, self.open, self.done = random.Random(rng.random()), sources, [], [], [], 0
        self.number = 0

    def make(self):
        if len(self.names) < 6:
            name = f"u{self.ident}-{self.number}"
            self.number += 1
            if not write(f"{mnt}/queries/new", f"{name}: " + self.rng.choice(SPECS).format(s=self.rng.choice(self.sources))):
                fail("a query was refused: " + read(f"{mnt}/queries/errors")[-300:].decode())
            self.names.append(name)

    def remove(self):
        if self.names:
            name = self.names.pop(self.rng.randrange(len(self.names)))
            try:
                os.rmdir(f"{mnt}/queries/{name}")
            except OSError as e:
                fail(f"rmdir {name}: {e}")

    def replace(self):
        if self.names:
            write(f"{mnt}/queries/{self.rng.choice(self.names)}/spec", self.rng.choice(SPECS).format(s=self.rng.choice(self.sources)))

    def steer(self):
        if self.names:
            write(f"{mnt}/queries/{self.rng.choice(self.names)}/ctl", self.rng.choice("pause resume restart refresh flush stop".split()))

    def look(self):
        name = self.rng.choice(self.names + ["all", "n"])
        read(f"{mnt}/queries/{name}/" + self.rng.choice("out.csv out.json out.txt out.tsv status plan log graph.dot spec".split()))

    def walk(self):
        subprocess.run(["find", f"{mnt}/queries", "-path", "*/records/*", "-prune", "-o", "-name", "out.*", "-ls"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def keep(self):
        for base, dirs, files in os.walk(f"{mnt}/queries/{self.rng.choice(self.names or ['n'])}/versions"):
            for f in files:
                read(f"{base}/{f}")

    def metrics(self):
        if not read(f"{mnt}/metrics").endswith(b"# EOF\n"):
            fail("metrics do not end")

    def begin(self, way):
        name = self.rng.choice(self.names + ["all", "n"])
        path = f"{mnt}/streams/{name}" if way == "stream" else f"{mnt}/queries/{name}/out.csv"
        if len(self.procs) < 15:
            self.procs.append(subprocess.Popen(["cat", path] if way == "stream" else ["tail", "-f", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def stream(self):
        self.begin("stream")

    def tail(self):
        self.begin("tail")

    def sleeper(self):
        """Opens, reads a little, and sleeps."""
        name = self.rng.choice(self.names + ["all", "n"])
        try:
            fd = os.open(f"{mnt}/" + self.rng.choice([f"streams/{name}", f"queries/{name}/out.csv"]), os.O_RDONLY | os.O_NONBLOCK)
            self.open.append(fd)
            os.read(fd, 100)
        except OSError:
            pass
        if len(self.open) > 10:
            os.close(self.open.pop(0))

    def kill(self):
        if self.procs:
            p = self.procs.pop(self.rng.randrange(len(self.procs)))
            p.send_signal(self.rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                fail("a reader does not die")

    def rest(self):
        while self.names:
            self.remove()
        while self.procs:
            self.kill()
        while self.open:
            os.close(self.open.pop())

    def run(self):
        actions = [self.make] * 6 + [self.remove] * 4 + [self.look] * 8 + [self.stream] * 4 + [self.kill] * 5 + \
            [self.tail, self.replace, self.steer, self.steer, self.walk, self.keep, self.metrics, self.sleeper, self.sleeper]
        while not stop.is_set():
            if calm.is_set():
                self.rest()
                time.sleep(0.1)
                continue
            self.rng.choice(actions)()
            self.done += 1
            time.sleep(self.rng.uniform(0, 0.1))
        self.rest()


def taken(pid):
    """Memory, descriptors and threads of the process."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        memory = int(re.search(r"^Pss_Anon: *(\d+)", f.read(), re.M)[1]) * 1024
    return memory, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def answer(path):
    """The time that the mount takes to answer, in seconds."""
    began = time.monotonic()
    if subprocess.run(["timeout", "20", "cat", path], stdout=subprocess.DEVNULL).returncode:
        fail("the mount does not answer")
    return time.monotonic() - began


def main():
    global mnt
    work = tempfile.mkdtemp()
    mnt = f"{work}/m"
    os.mkdir(mnt)
    os.mkfifo(f"{work}/pipe")
    sources, spec = ["lab"], ["lab=-"]
    wired = os.geteuid() == 0 and "SOAK_NETNS" in os.environ
    if wired:
        for c in ["link add here type veth peer name there", "link set here up", "link set there up"]:
            subprocess.run(["ip", *c.split()], check=True)
        sources.append("wire")
        spec.append("wire=iface:here")
    fd = os.open(f"{work}/pipe", os.O_RDONLY | os.O_NONBLOCK)  # does not wait for the other end
    os.set_blocking(fd, True)
    pipe = Pipe(f"{work}/pipe")
    with os.fdopen(fd) as f:
        options = ["-o", "rings=" + os.environ.get("SOAK_RINGS", "2")] if wired else []
        weir = subprocess.Popen([WEIR, "-f", *spec, mnt, *options], stdin=f)
        while not os.path.exists(f"{mnt}/queries/new") and weir.poll() is None:
            time.sleep(0.02)
    print(f"soak: {SECONDS:.0f} s, seed {SEED}, sources {' '.join(sources)}", flush=True)
    write(f"{mnt}/queries/new", "all: set retain 1MB lab | print ts srcip len")
    write(f"{mnt}/queries/new", "n: lab | group count() as n")
    if wired:
        write(f"{mnt}/queries/new", "w: wire | where dstip = 10.1.0.1 | group count() as n")
    followers = [Follower(f"{mnt}/streams/all"), Follower(f"{mnt}/streams/all"), LogFollower(f"{mnt}/queries/all/out.csv")]
    wire = Wire() if wired else None
    users = [User(sources) for _ in range(3)]
    for t in followers + [pipe] + ([wire] if wire else []) + users:
        t.start()
    began, samples, slowest = time.monotonic(), [], 0.0
    turns = 10
    for turn in range(1, turns + 1):
        while time.monotonic() < began + SECONDS * (turn - 0.3) / turns and weir.poll() is None:
            slowest = max(slowest, answer(f"{mnt}/status"))
            time.sleep(0.5)
        calm.set()
        while time.monotonic() < began + SECONDS * turn / turns and weir.poll() is None:
            time.sleep(0.1)
        if weir.poll() is not None:
            fail("weir has ended")
            break
        samples.append(taken(weir.pid))
        print("soak: turn %d: %.1f MB, %d descriptors, %d threads, %d packets, %d actions" % (
            turn, samples[-1][0] / 2**20, samples[-1][1], samples[-1][2], pipe.sent, sum(u.done for u in users)), flush=True)
        calm.clear()
    finish(weir, pipe, wire, followers, users, samples, slowest)
    shutil.rmtree(work, ignore_errors=True)
    return 1 if failures else 0


def finish(weir, pipe, wire, followers, users, samples, slowest):
    stop.set()
    for t in users + [pipe] + ([wire] if wire else []):
        t.join()
    end = time.monotonic() + 30
    while query_state("n") == "running" and time.monotonic() < end:
        time.sleep(0.1)
    for t in followers:
        t.join(30)
        if t.is_alive():
            fail("a reader does not come to the end")
        if t.rows + t.lost != pipe.sent:
            fail(f"{t.rows} rows and {t.lost} lost of {pipe.sent}")
    if not read(f"{mnt}/queries/n/out.csv").endswith(b"\n%d\n" % pipe.sent):
        fail(f"the sum is not {pipe.sent}: {read(f'{mnt}/queries/n/out.csv')}")
    if wire:
        lost = sum(int(n) for n in re.findall(rb'^weir_source_drops_total\{source="wire".*\} (\d+)', read(f"{mnt}/metrics"), re.M))
        got, end = 0, time.monotonic() + 10  # a table is a second old at times
        while got < wire.sent - lost and time.monotonic() < end:
            got = int(read(f"{mnt}/queries/w/out.csv").split()[-1])
            time.sleep(0.1)
        if not wire.sent - lost <= got <= wire.sent:
            fail(f"{got} of {wire.sent} packets on the wire, and {lost} lost")
    third = len(samples) // 3
    for i, what in enumerate(["memory", "descriptors", "threads"]):
        before, after = max(s[i] for s in samples[:third + 1]), min(s[i] for s in samples[-third:]) if third else 0
        if after > before * GROWTH + (SLACK if i == 0 else 2):
            fail(f"{what} grew from {before} to {after}")
    for t in followers:
        t.file.close()
    weir.terminate()
    try:
        if weir.wait(20):
            fail(f"weir ended with {weir.returncode}")
    except subprocess.TimeoutExpired:
        fail("weir does not end")
        weir.kill()
    print(f"soak: {pipe.sent} packets, {sum(u.done for u in users)} actions, slowest answer {slowest * 1000:.0f} ms:",
          f"{len(failures)} failures" if failures else "no lost row, no growth")


signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would the readers
if os.geteuid() == 0 and "SOAK_NETNS" not in os.environ and subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
    os.execvpe("unshare", ["unshare", "-n", sys.executable, *sys.argv], {**os.environ, "SOAK_NETNS": "1"})
sys.exit(main())
