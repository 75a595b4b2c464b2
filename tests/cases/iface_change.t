#!/bin/bash
# SPDX-License-Identifier: MIT
# An interface that becomes another: of another kind, or gone while packets are on their way, or with the clock
# stepped back. What came is there, decoded and filtered as what it was; tcpdump says how much that is.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
need python3
trace=$(realpath "$(sample)")
m=$T/m
# the packet socket that is bound to an interface
socket_of() { awk -v i="$(ip -o link show "$1" 2>/dev/null | cut -d: -f1)" '$5 == i && i { print $9 }' /proc/net/packet; }
bound() { local now=$(socket_of "$1"); [ -n "$now" ] && [ "$now" != "${2:-}" ]; } # NAME [NOT]: by another than NOT
answers() { [ "$(sed 1d "$m/queries/$1/out.csv")" = "$2" ]; }
expected() { tcpdump -nr "$trace" "$@" 2>/dev/null | wc -l; }

# Does what it is told line by line, and says "done": sends by an interface without a link layer what follows the
# Ethernet header of the trace's IPv4 packets.
cat >"$T/hand.py" <<'PY'
import fcntl, os, struct, sys
data = open(sys.argv[1], "rb").read()
frames, at = [], 24
while at < len(data):
    n = struct.unpack_from("<I", data, at + 8)[0]
    frames.append(data[at + 16:at + 16 + n])
    at += 16 + n
fd = -1
for line in sys.stdin:
    word = line.split()
    if word[0] == "open":  # NAME
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", word[1].encode(), 0x1001))
    elif word[0] == "kind":  # ARPHRD_…
        fcntl.ioctl(fd, 0x400454cd, int(word[1]))
    elif word[0] == "send":
        for f in frames:
            if f[12:14] == b"\x08\x00":
                os.write(fd, f[14:])
    elif word[0] == "close":
        os.close(fd)
    print("done", flush=True)
PY
coproc HAND { exec python3 "$T/hand.py" "$trace" 2>"$T/hand.log"; }
lib_pids+=($HAND_PID)
hand() {
	local answer=
	echo "$*" >&"${HAND[1]}" && read -rt 10 answer <&"${HAND[0]}"
	[ "$answer" = 'done' ] || note "$* fails: $(tail -1 "$T/hand.log")"
}

# ---- gone while packets are in the ring: more than are read between two looks at the interface ----
mount_weir "$m" out0 -o snaplen=64,ring=128MB || finish
echo 'all: packets | group count() as n' >"$m/queries/new"
freeze "${lib_pids[-1]}"
send -t -K --loop=15 "$trace"
ip link del out0
kill -CONT "${lib_pids[-1]}"
wait_for 10 counted "$m" out0 "$sent"
want=$((sent - $(stat_of "$m" out0 kernel_drops)))
ok "what had room before the interface went is read: $want of $sent packets" wait_for 10 answers all "$want"
is "$(stat_of "$m" out0 own_drops)" 0 'nothing was thrown away'
like "$(cat "$m/sources/out0/info")" '^link: gone' 'it is gone'
fusermount3 -u "$m"

# ---- another kind, the same interface; then another interface of the name ----
hand open port0
if ip link show port0 >/dev/null 2>&1; then
	echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/port0/disable_ipv6
	hand kind 1
	ip link set port0 up
	mount_weir "$m" port0 -o 'bpf=ip' || finish
	echo 'dns: packets | filter -b "udp port 53" | group count() as n' >"$m/queries/new"
	echo 'some: packets | filter -b "udp port 53" | head 100' >"$m/queries/new"
	was=$(socket_of port0)
	ip link set port0 down
	hand kind 65534
	ip link set port0 up
	ok 'an Ethernet interface becomes one without a link layer' wait_for 10 bound port0 "$was"
	hand send
	ok 'its packets are filtered as such' query_ended "$m" some 10
	cp "$m/queries/some/out.pcap" "$T/some.pcap"
	tcpdump -tnr "$T/some.pcap" >"$T/some.txt" 2>/dev/null
	tcpdump -tnr "$trace" -c 100 ip and udp port 53 >"$T/expected.txt" 2>/dev/null
	same "$T/some.txt" "$T/expected.txt" 'and read as such, as tcpdump does'
	like "$(tcpdump -nr "$T/some.pcap" -c 1 2>&1)" 'link-type RAW ' 'and out.pcap says so'
	hand close
	pair in1 port0
	ok 'an Ethernet interface takes its name' wait_for 10 bound port0
	tcpreplay -q -i in1 --pps 50000 "$trace" >/dev/null 2>&1
	want=$((2 * $(expected ip and udp port 53)))
	ok "which is filtered as what it is: $want packets of both" wait_for 10 answers dns "$want"
	is "$(($(stat_of "$m" port0 own_drops) + $(stat_of "$m" port0 kernel_drops)))" "$(expected vlan)" \
		'of the others only those with a tag came in, and were passed over'
	like "$(cat "$m/sources/port0/info")" '^link types: 1 \(' 'info has the kind'
	like "$(cat "$m/sources/port0/info")" '^event: .* port0 is of another kind now' 'and what it was before'
	fusermount3 -u "$m"
else
	skip 'an interface that becomes another' 'no tun device can be made here'
fi

# ---- the clock is stepped back ----
cat >"$T/ahead.c" <<'C'
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = syscall(SYS_clock_gettime, clock, t);
	t->tv_sec += clock == CLOCK_REALTIME ? 3600 : 0;
	return r;
}
C
pair
if [ -z "${WEIR_SANITIZED:-}" ] && cc -shared -fPIC -o "$T/ahead.so" "$T/ahead.c" 2>/dev/null; then
	LD_PRELOAD=$T/ahead.so "$WEIR" run 'packets | head 1000 | group count() as n' out0 >"$T/run.csv" 2>"$T/run.err" &
	run=$!
	lib_pids+=($run)
	wait_for 10 bound out0
	for ((i = 0; i < 20; i++)); do
		send --pps 20000 -L 1000 "$trace"
		kill -0 $run 2>/dev/null || break
	done
	is "$(sed 1d "$T/run.csv")" 1000 'packets whose stamps are an hour behind the clock are read'
else
	skip 'stamps behind the clock' 'no C compiler, or a sanitizer that wants to be loaded first'
fi
finish
