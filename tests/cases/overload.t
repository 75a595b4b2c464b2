#!/bin/bash
# SPDX-License-Identifier: MIT
# More than queries can take, for five seconds: every packet is received, given up or dropped by the kernel,
# and counted once; a sample's sums, scaled back, are right within the error that they state; the mount
# answers all the while.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../net.sh"
need_fuse
need python3 perl
m=$T/m
# many flows of about the same size, so that a part of them says something of all
"$GENTRACE" -n 20000 -r 1000 -w "$T/some.pcap"
perl -e 'open F, shift; binmode F; local $/; $_ = <F>; print substr($_, 0, 24); $at = 24; $ip = 0;
	while ($at < length) { my $c = unpack "V", substr($_, $at + 8, 4); my $p = substr($_, $at, 16 + $c); $at += 16 + $c;
		next unless substr($p, 28, 2) eq "\x08\x00" && substr($p, 30, 1) eq "\x45";
		substr($p, 42, 4) = pack "N", 0x0a000000 + ($ip++ % 4000); print $p }' "$T/some.pcap" >"$T/trace.pcap"
slow='where not payload.hex ~ "[0-9].*[a-f].*[g-z]"'
line() { sed -n "s/^out0\.$2: //p" "$m/queries/$1/status"; }
records() { sed -n 's/^records: //p' "$m/queries/$1/status"; }
adds_up() { # QUERY: what it has had, given up, and what was lost before
	[ "$(($(records "$1") + $(line "$1" shed) + $(line "$1" kernel_drops) + $(line "$1" own_drops)))" = "$sent" ]
}
flood() { # flood SECONDS, and how long the mount takes to answer meanwhile: $T/ms
	python3 - "$m" "$1" >"$T/ms" <<'PY' &
import sys, time
m, seconds = sys.argv[1], float(sys.argv[2])
took, end = [], time.time() + seconds
while time.time() < end:
    for f in ("/status", "/sources/out0/stats", "/queries/slow/spec", "/queries/slow/status"):
        t = time.time()
        open(m + f).read()
        took.append(int((time.time() - t) * 1000))
    time.sleep(0.02)
took.sort()
print(took[len(took) * 95 // 100], took[-1])
PY
	local ms=$!
	send -t -K -l 1000000 --duration="$1" "$T/trace.pcap"
	wait $ms
}

# ---- drop ----
mount_weir "$m" out0 -o ring=8MB || finish
# two that share a stage, which is run for both before either has the packets
echo "slow: set shed drop packets | where len > 0 | $slow | group count() as n" >"$m/queries/new"
echo "twin: set shed drop packets | where len > 0 | ${slow/g-z/h-z} | group count() as n" >"$m/queries/new"
like "$(cat "$m/sources/out0/info")" '^shared: 2 queries: where len>0$' 'two queries share a stage'
flood 5
for n in slow twin; do
	ok "drop: received, given up and dropped add up to $sent ($n)" wait_for 60 adds_up $n
done
note "received $(records slow), given up $(line slow shed), dropped by the kernel $(line slow kernel_drops)"
[ "$(line slow shed)" -gt 0 ]
result $? 'some were given up'
like "$(line slow shed_spell | head -1)" '^[0-9]+ records from [0-9]{10}\.[0-9]{6} to [0-9]{10}\.[0-9]{6}$' 'status says when'
is "$(line slow shed_spell | awk '{ s += $1 } END { print s }')" "$(line slow shed)" 'and how many each time'
# the sender, the capture, the query and who asks share what CPUs there are: now and then one waits
read -r ms worst <"$T/ms"
[ "$ms" -lt "${WEIR_SANITIZED:+10}100" ]
result $? "19 of 20 times the mount has answered within $ms ms, always within $worst ms"
stopped "$m" slow
is "$(sed 1d "$m/queries/slow/out.csv")" "$(records slow)" 'the answer has what was received'
rmdir "$m/queries/slow" "$m/queries/twin"

# ---- sample ----
echo "slow: set shed sample packets | $slow | group count() as n sum(len) as bytes" >"$m/queries/new"
flood 5
ok "sample: received, given up and dropped add up to $sent" wait_for 60 adds_up slow
note "received $(records slow), given up $(line slow shed), dropped by the kernel $(line slow kernel_drops)"
[ "$(line slow shed)" -gt 0 ]
result $? 'some were given up'
like "$(line slow shed_spell | head -1)" ', one flow in [0-9]+$' 'status says how many flows were taken'
stopped "$m" slow
is "$(head -1 "$m/queries/slow/out.csv")" 'n,bytes,n_error,bytes_error' 'sums state their errors'
note "$(sed 1d "$m/queries/slow/out.csv")"
# five standard errors, for what the kernel had room for
came=$((sent - $(line slow kernel_drops) - $(line slow own_drops)))
is "$(awk -F, -v came="$came" 'NR == 2 { d = ($1 - came) / $1; print ((d < 0 ? -d : d) <= 5 * $3 && $3 > 0 && $3 < 0.5) }' "$m/queries/slow/out.csv")" 1 \
	"the count scaled back is $came within its error"
like "$("$WEIR" check -v "set shed sample packets | print ts weight" "$T/trace.pcap" 2>&1)" "unknown field 'weight'" \
	'of a trace nothing is given up'
rmdir "$m/queries/slow"
echo "w: set shed sample packets | head 100 | print ts len weight" >"$m/queries/new"
send --pps 1000 -L 200 "$T/trace.pcap"
query_ended "$m" w
is "$(cut -d, -f3 "$m/queries/w/out.csv" | sort | uniq -c | xargs)" '100 1 1 weight' 'at light load each record stands for itself'
fusermount3 -u "$m"
finish
