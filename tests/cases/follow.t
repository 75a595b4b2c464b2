#!/bin/bash
# SPDX-License-Identifier: MIT
# A capture that is read while it is written (-o follow): cut at any byte, compressed, replaced, truncated,
# removed; and with -o state= each packet once, across restarts.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../growing.sh"
need tcpdump gzip perl
need_fuse
trace=$(realpath "$(sample)")
size=$(stat -c %s "$trace")
m=$T/m
rows='packets | print ts len srcip'
"$WEIR" run "$rows" "$trace" >"$T/all.csv"

# offset N: where packet N, from 1, begins in the trace
offset() { perl -e 'open F, shift; binmode F; read F, $h, 24; $at = 24; while (--$ARGV[0]) {
	read F, $h, 16; $c = unpack "x8V", $h; seek F, $c, 1; $at += 16 + $c } print $at' "$trace" "$1"; }
part() { dd if="${3:-$trace}" iflag=skip_bytes,count_bytes skip="$1" count="$(($2 - $1))" bs=64K status=none; } # FROM TO

# a slow writer stops within a packet header, within a packet, behind one
e10=$(offset 11) e20=$(offset 21) e30=$(offset 31)
part 0 10 >"$T/slow.pcap"
mount_weir "$m" -o follow "$T/slow.pcap"
result $? 'a file that ends within its header is mounted'
ask a 'slow | print ts len srcip'
ask t 'slow | group count() as n sum(len) as bytes'
part 10 $((e10 + 7)) >>"$T/slow.pcap"
wait_for 10 has "$m/queries/a/out.csv" 10
result $? 'its packets come; the half header waits'
part $((e10 + 7)) $((e20 + 30)) >>"$T/slow.pcap"
wait_for 10 has "$m/queries/a/out.csv" 20
result $? 'then the next ones; the half packet waits'
n_is() { [ "$(sed 1d "$m/queries/t/out.csv")" = "$1" ]; }
wait_for 10 n_is "$(sed -n 2,21p "$T/all.csv" | awk -F, '{ s += $2 } END { print NR "," s }')"
result $? 'a table is right at that point'
ask late 'slow | print ts len srcip'
part $((e20 + 30)) "$e30" >>"$T/slow.pcap"
wait_for 10 has "$m/queries/a/out.csv" 30 && wait_for 10 has "$m/queries/late/out.csv" 10
result $? 'and the rest of it'
is "$(sed 1d "$m/queries/a/out.csv" | cut -d, -f2-)" "$(sed -n 2,31p "$T/all.csv" | cut -d, -f2-)" 'the rows are those of the file'
like "$(cat "$m/queries/late/log")" ' slow: begins at record 21$' 'a late query begins where the file is now'
is "$(stat_of slow faults)" 0 'no fault'
like "$(cat "$m/sources/slow/info")" '^followed: yes$' 'info says that it is followed'
is "$(stat_of slow passes) $(stat_of slow files)" '1 1' 'one pass of one file serves all'

# truncated, overwritten in place
part 0 "$e20" >"$T/slow.pcap"
wait_for 10 stat_is slow truncated 1
result $? 'a file that shrinks is noticed'
wait_for 10 grep -q "^fault: .*slow.pcap at byte $e30: truncated or overwritten" "$m/sources/slow/info"
result $? 'and is a fault'
wait_for 10 has "$m/queries/a/out.csv" 50
result $? 'it is read anew'
wait_for 10 grep -q '^fault: .*truncated' "$m/queries/a/status"
result $? "a query's status has it too"

# replaced by another file: the old one is read to its end first
exec 8>>"$T/slow.pcap"
mv "$T/slow.pcap" "$T/slow.pcap.1"
part "$e20" "$((e30 - 4))" >&8
wait_for 10 has "$m/queries/a/out.csv" 59
result $? 'a file that was renamed is read on'
{ part 0 24; part "$e10" "$e20"; } >"$T/slow.pcap"
part "$((e30 - 4))" "$e30" >&8
wait_for 10 has "$m/queries/a/out.csv" 60
result $? 'also while its writer is there still, and a new one is too'
exec 8>&-
wait_for 10 has "$m/queries/a/out.csv" 70
result $? 'then the new one is read'
is "$(sed 1d "$m/queries/a/out.csv" | tail -20 | cut -d, -f2-)" \
	"$({ sed -n 22,31p "$T/all.csv"; sed -n 12,21p "$T/all.csv"; } | cut -d, -f2-)" 'all of the old, then all of the new'
wait_for 10 stat_is slow replaced 1
is "$(stat_of slow replaced) $(stat_of slow files) $(stat_of slow faults)" '1 3 1' 'that is counted, and no fault'

# a half packet at the end of a file that was replaced is a fault
part "$e20" $((e20 + 20)) >>"$T/slow.pcap"
{ part 0 24; part "$e10" "$e20"; } >"$T/new.pcap"
mv "$T/new.pcap" "$T/slow.pcap"
wait_for 10 has "$m/queries/a/out.csv" 80
result $? 'a file that another one was moved over'
wait_for 10 grep -q '^fault: .*the file ends within a packet: ' "$m/sources/slow/info"
result $? 'its half packet is a fault'

# removed, and there again
rm "$T/slow.pcap"
wait_for 10 stat_is slow removed 2
result $? 'a file that is removed is noticed'
{ part 0 24; part 24 "$e10"; } >"$T/slow.pcap"
wait_for 10 has "$m/queries/a/out.csv" 90
result $? 'the next one of its name is read'

# two others of its name while nobody looks: the last one is read, and the other is said to be lost
freeze "${lib_pids[-1]}"
mv "$T/slow.pcap" "$T/slow.pcap.1"
part 0 "$e20" >"$T/slow.pcap"
mv "$T/slow.pcap" "$T/slow.pcap.2"
part 0 "$e20" >"$T/slow.pcap"
mv "$T/slow.pcap" "$T/slow.pcap.3"
part 0 "$e10" >"$T/slow.pcap"
kill -CONT "${lib_pids[-1]}"
wait_for 10 stat_is slow missed 2
result $? 'files that came and went unread are counted'
like "$(cat "$m/sources/slow/info")" '^fault: .*: 2 files of this name came and went unread$' 'and a fault'
wait_for 10 has "$m/queries/a/out.csv" 100
result $? 'the last of them is read'

# something else under the name
echo 'this is no capture file at all' >"$T/text"
mv "$T/text" "$T/slow.pcap"
wait_for 10 grep -q 'neither pcap nor pcapng' "$m/sources/slow/info"
result $? 'something else that takes the name is a fault'
part 0 "$e10" >"$T/new.pcap"
mv "$T/new.pcap" "$T/slow.pcap"
wait_for 10 has "$m/queries/a/out.csv" 110
result $? 'and left for the next capture'
is "$(stat_of slow missed)" 2 'nothing else was missed'
unmount

# at the query's own: from the beginning, each for itself
part 0 "$e10" >"$T/own.pcap"
mount_weir "$m" "$trace"
ask x "pcapfile -f '$T/own.pcap' | print ts len srcip"
wait_for 10 has "$m/queries/x/out.csv" 10
part "$e10" "$e20" >>"$T/own.pcap"
wait_for 10 has "$m/queries/x/out.csv" 20
result $? 'pcapfile -f in a query'
ask y "pcapfile --follow '$T/own.pcap' | print ts len srcip"
wait_for 10 has "$m/queries/y/out.csv" 20
result $? 'another one begins at the beginning'
like "$(bash -c "echo \"z: pcapfile -f --state '$T/s' '$T/own.pcap'\" >'$m/queries/new'" 2>&1; tail -3 "$m/queries/errors")" \
	'not permitted: a state is kept for a source of the command line only' 'but keeps no state'
unmount

# weir run: a signal ends it, with the answer so far; the state goes on from there
# run_until N ARGUMENT…: weir run in the background, ended once it has N rows
run_until() {
	local n=$1
	shift
	: >"$T/got.csv" # the run does so when it gets there: what the last one left would count
	"$WEIR" run "$@" <"${input:-/dev/null}" >"$T/got.csv" 2>"$T/got.err" &
	local p=$!
	lib_pids+=("$p")
	wait_for 10 has "$T/got.csv" "$n"
	local r=$?
	kill -TERM $p
	wait_for 10 gone $p || r=2
	return $r
}
part 0 "$((e10 + 3))" >"$T/own.pcap"
run_until 10 -o follow -o "state=$T/state" "$rows" "$T/own.pcap"
result $? 'run -o follow -o state='
part "$((e10 + 3))" "$e20" >>"$T/own.pcap"
run_until 10 -o follow -o "state=$T/state" "$rows" "$T/own.pcap"
result $? 'run again: what is new'
is "$(sed 1d "$T/got.csv")" "$(sed -n 12,21p "$T/all.csv")" 'and only that'
run_until 0 -o follow -o "state=$T/state" "$rows" "$T/own.pcap"
is "$? $(lines "$T/got.csv")" '0 0' 'nothing new, no rows'
mv "$T/own.pcap" "$T/own.pcap.1"
part 0 "$e10" >"$T/own.pcap"
part "$e20" "$e30" >>"$T/own.pcap"
run_until 20 -o follow -o "state=$T/state" "$rows" "$T/own.pcap"
result $? 'another file under the name is read from its beginning'
like "$(cat "$T/got.err")" 'own.pcap at byte 0: another file than the one that was followed last' 'and that is said'
part 0 "$e10" >"$T/own.pcap"
run_until 10 -o follow -o "state=$T/state" "$rows" "$T/own.pcap"
result $? 'so is one that has shrunk'
like "$(cat "$T/got.err")" 'own.pcap at byte 0: (another file|shorter than what was read)' 'and that is said'

# the same for standard input, which is opened once
input=$T/in.pcap
part 0 "$((e10 + 3))" >"$input"
run_until 10 -o follow -o "state=$T/in" "$rows" -
result $? 'standard input, a file'
part "$((e10 + 3))" "$e20" >>"$input"
run_until 10 -o follow -o "state=$T/in" "$rows" -
is "$? $(sed 1d "$T/got.csv" | cksum)" "0 $(sed -n 12,21p "$T/all.csv" | cksum)" 'again: only what is new'
part 0 "$e10" >"$input"
run_until 10 -o follow -o "state=$T/in" "$rows" -
result $? 'and when it was truncated, it is read anew'
{ head -c 100 "$0"; cat "$trace"; } >"$input"
is "$({ dd bs=100 count=1 of="$T/skipped" status=none; "$WEIR" run "$rows" -; } <"$input" | cksum)" \
	"$(cksum <"$T/all.csv")" 'one of which somebody has read before: from there on'
input=

# states that are none
bad() { # bad DESCRIPTION REGEX [STATE]
	"$WEIR" run -o follow -o "state=${3:-$T/state}" "$rows" "$T/own.pcap" >"$T/got.csv" 2>"$T/got.err" </dev/null &
	local p=$!
	wait_for 10 gone $p || kill $p
	wait $p
	is $? 1 "$1"
	like "$(cat "$T/got.err")" "$2" "$1: says why"
}
cp "$T/state" "$T/good"
head -c -5 "$T/good" >"$T/state"
bad 'a torn state' "state '.*/state': is torn; remove it to begin anew"
sed 's/^file \([0-9]*\) ./file \1 9/' "$T/good" >"$T/state"
bad 'a state that was changed' 'is torn; remove it'
head -1 "$T/good" >"$T/state"
bad 'the first line of a state' 'is torn; remove it'
cp "$trace" "$T/state"
bad 'a trace as state' "is no state of weir"
cp "$T/good" "$T/state"
cp "$T/own.pcap" "$T/other.pcap"
like "$("$WEIR" run -o follow -o "state=$T/state" "$rows" "$T/other.pcap" 2>&1)" 'is the state of another source' \
	"another source's state is refused"
bad 'a state in no folder' 'No such file or directory' "$T/none/state"
bad 'a folder as state' "is no state of weir|Is a directory" "$T"
bad 'a name that is too long' 'File name too long' "$T/$(printf 'x%.0s' {1..252})"
: >"$T/state"
run_until 10 -o follow -o "state=$T/state" "$rows" "$T/own.pcap"
result $? 'an empty state is a new one'
mount_weir "$m" -o "follow,state=$T/state" "$T/own.pcap"
bad 'a state that is in use' 'is used by another weir'
ls "$T"/state* | wc -l >"$T/n"
unmount
is "$(cat "$T/n")" 1 'no other file stays beside a state'

# a state that cannot be written any more, then can
mkdir "$T/small"
if mount -t tmpfs -o size=16k none "$T/small" 2>/dev/null; then
	lib_mounts+=("$T/small")
	mount_weir "$m" -o "follow,state=$T/small/state" "$T/own.pcap"
	dd if=/dev/zero of="$T/small/full" bs=4k status=none 2>/dev/null
	ask a 'own | print ts len srcip'
	wait_for 10 grep -q 'fault: .*/state .*cannot be written: No space left' "$m/sources/own/info"
	result $? 'a full disk is a fault of the source'
	rm "$T/small/full"
	offset_in() { awk '$1 == "file" { print $6 }' "$T/small/state"; }
	written() { [ "$(offset_in)" = "$e10" ]; }
	wait_for 10 written
	result $? 'and is tried again'
	unmount
	umount "$T/small"
else
	skip 'a state on a full disk' 'no tmpfs can be mounted'
fi

# pcapng, and compressed files: as much as their blocks and frames have
grow_through() { # grow_through FILE NAME: cut anywhere, the rows are those of the whole
	local n want
	n=$(stat -c %s "$1")
	"$WEIR" run "$rows" "$1" >"$T/want.csv"
	want=$(lines "$T/want.csv")
	: >"$T/grow"
	"$WEIR" run -o follow "$rows" "$T/grow" >"$T/got.csv" 2>"$T/got.err" &
	local p=$! at=0 to
	lib_pids+=("$p")
	while [ $at -lt "$n" ]; do
		to=$((at + RANDOM * RANDOM % (n / 6) + 1))
		[ $to -gt "$n" ] && to=$n
		part $at $to "$1" >>"$T/grow"
		at=$to
		nap 0.01
	done
	wait_for 20 has "$T/got.csv" "$want"
	result $? "$2: all rows"
	kill -TERM $p
	wait_for 10 gone $p
	is "$(sed 1d "$T/got.csv" | cut -d, -f2- | cksum)" "$(sed 1d "$T/want.csv" | cut -d, -f2- | cksum)" "$2: the same"
	is "$(cat "$T/got.err")" '' "$2: no fault"
}
grow_through "$trace" pcap
if command -v tshark >/dev/null; then
	tshark -F pcapng -r "$trace" -w "$T/ng" 2>/dev/null
	grow_through "$T/ng" pcapng
fi
gzip -c "$trace" >"$T/z.gz"
grow_through "$T/z.gz" gzip
{ part 0 "$e20" | gzip -c; part "$e20" "$size" | gzip -c; } >"$T/z2.gz"
grow_through "$T/z2.gz" 'gzip, two members'
command -v zstd >/dev/null && { zstd -q "$trace" -o "$T/z.zst" && grow_through "$T/z.zst" zstd; }

# what cannot be
like "$("$WEIR" run -o follow "$rows" "$T/*.pcap" 2>&1)" "'follow' takes one file; folders are for 'spool'" 'a glob'
like "$("$WEIR" run -o follow "$rows" "$T/none.pcap" 2>&1)" "cannot open '.*none.pcap': No such file" 'a file that is not there'
like "$("$WEIR" run -o follow -s 2 "$rows" "$trace" 2>&1)" "'follow' does not go with 'speed'" 'with a speed'
like "$("$WEIR" run -o follow "$rows" "$0" 2>&1)" 'is no capture file: neither pcap nor pcapng' 'a script'
like "$("$WEIR" run -o folow "$rows" "$trace" 2>&1)" "no source has an option 'folow'" 'an option that no source has'
like "$("$WEIR" -o follow=1 "$trace" "$m" 2>&1)" "option takes no value: 'follow=1'" 'follow=1'
like "$("$WEIR" -o state "$trace" "$m" 2>&1)" "option needs a value: 'state'" 'state without a file'

# where inotify cannot be had, the file is looked at
if unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances' 2>/dev/null; then
	part 0 "$e10" >"$T/own.pcap"
	unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"' - \
		"$WEIR" run -o follow "$rows" "$T/own.pcap" >"$T/got.csv" 2>"$T/got.err" &
	p=$!
	lib_pids+=($p)
	wait_for 10 has "$T/got.csv" 10
	part "$e10" "$e20" >>"$T/own.pcap"
	wait_for 10 has "$T/got.csv" 20
	result $? 'without inotify'
	kill -TERM $p
else
	skip 'without inotify' 'no user namespaces'
fi
finish
