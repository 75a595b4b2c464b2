# SPDX-License-Identifier: MIT
"""trickle.py PIPE FILE N: writes a capture into a pipe: its header, and once FILE is there, N packets, 50 a
second, each with the time at which it is written."""
import os
import random
import struct
import sys
import time

pipe, wanted, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
frame = bytes(12) + b"\x88\xb5" + bytes(46)  # an experimental Ethertype
out = os.open(pipe, os.O_WRONLY)
os.write(out, struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
while not os.path.exists(wanted):
    time.sleep(0.01)
for _ in range(count):
    time.sleep(random.uniform(0.005, 0.035))
    now = time.time_ns()
    os.write(out, struct.pack("<IIII", now // 10**9, now % 10**9, len(frame), len(frame)) + frame)
time.sleep(1)
