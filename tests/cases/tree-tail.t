#!/bin/bash
# SPDX-License-Identifier: MIT
# A growing log is followed by GNU and busybox tail, -f and -F, over at least three epochs (the
# rows kept are a small part of all), and no row is lost or doubled.
. "$(dirname "$0")/../lib.sh"
need_fuse
need busybox
trace=$(sample) # 20 seconds of the trace's own time
m=$T/m
mount_weir "$m" "$trace" -o speed=2,retain=96KB || exit 1
spec='packets | print ts srcip dstip srcport dstport len seq'
"$WEIR" run -q -F csv "$spec" "$trace" >"$T/want"
f=$m/queries/log/out.csv
printf 'log: %s\n' "$spec" >"$m/queries/new"
test -e "$f" # the first look-up waits for rows

follow() { # follow NAME COMMAND…
	local n=$1
	shift
	"$@" >"$T/$n" 2>"$T/$n.err" &
	lib_pids+=($!)
}
follow gnu-f tail -n +1 -s 0.1 -f "$f"
follow gnu-F tail -n +1 -s 0.1 -F "$f"
follow busybox-f busybox tail -n +1 -f "$f"
follow busybox-F busybox tail -n +1 -F "$f"
exec 4<"$f" # stays open from the first epoch on, read at the end only

last=0 drops=0 grown=0
fd_last=0 shrunk=0
while ! grep -q '^state: done' "$m/queries/log/status"; do
	size=$(stat -c %s "$f")
	[ "$size" -lt "$last" ] && drops=$((drops + 1))
	[ "$size" -gt "$last" ] && grown=$((grown + 1))
	last=$size
	size=$(stat -L -c %s /dev/fd/4)
	[ "$size" -lt "$fd_last" ] && shrunk=$((shrunk + 1))
	fd_last=$size
	# whatever the epoch: a header and whole rows
	if [ $((grown % 5)) = 0 ]; then
		cat "$f" >"$T/now"
		head -n 1 "$T/now" | cmp -s - <(head -n 1 "$T/want") || echo header >>"$T/bad"
		[ -z "$(tail -c 1 "$T/now")" ] || echo cut >>"$T/bad"
		[ "$(sed -n 2p "$T/now" | tr -cd , | wc -c)" = 6 ] || echo row >>"$T/bad"
	fi
	nap 0.05
done
[ $drops -ge 3 ]
result $? "the log passed at least three epochs ($drops)"
is "$shrunk" 0 'an open epoch never shrinks'
is "$(cat "$T/bad" 2>/dev/null)" '' 'each look-up gave a header and whole rows'
rows=$(wc -l <"$T/want")
for n in gnu-f gnu-F busybox-f busybox-F; do
	wait_for 10 eval "[ \$(wc -l <'$T/$n') -ge $rows ]"
	same "$T/$n" "$T/want" "$n: every row once"
done
cat <&4 >/dev/null 2>"$T/err"
like "$(cat "$T/err")" 'Stale' 'what retention has dropped reads as ESTALE'
tail -n +2 "$f" >"$T/now"
tail -n "$(wc -l <"$T/now")" "$T/want" >"$T/end"
same "$T/now" "$T/end" 'the last epoch is the end of all rows'
is "$(dd if="$f" bs=1 skip="$(stat -c %s "$f")" status=none | wc -c)" 0 'reading at the end gives nothing'
# a new run's log is another file
echo 'packets | print len' >"$m/queries/log/spec"
wait_for 10 grep -qxE '[0-9]+' "$T/gnu-F"
result $? 'tail -F goes on with the result of a new spec'
wait_for 10 grep -qxE '[0-9]+' "$T/busybox-F"
result $? 'that of busybox too'
is "$(find "$m/queries/log" -name out.csv -printf '%i')" "$(ls -i "$f" | cut -d' ' -f1)" 'one number, however it is asked for'
finish
