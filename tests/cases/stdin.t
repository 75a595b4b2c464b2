#!/bin/bash
# SPDX-License-Identifier: MIT
# Standard input under a mount and in weir run: one pass serves all queries; what arrives is seen while
# the pipe stays open; signals end a mount that waits for its input.
. "$(dirname "$0")/../lib.sh"
need tcpdump gzip mkfifo
need_fuse
trace=$(realpath "$(sample)")
m=$T/m
size=$(stat -c %s "$trace")
# offset N: where packet N, from 1, begins in the trace
offset() { perl -e 'open F, shift; binmode F; read F, $h, 24; $at = 24; while (--$ARGV[0]) {
	read F, $h, 16; $c = unpack "x8V", $h; seek F, $c, 1; $at += 16 + $c } print $at' "$trace" "$1"; }
part() { dd if="$trace" iflag=skip_bytes,count_bytes skip="$1" count="$(($2 - $1))" bs=64K status=none; } # FROM TO
lines() { tail -n +2 "$1" | wc -l; }
has() { [ "$(lines "$1")" = "$2" ]; }
gone() { [ ! -d "/proc/$1" ]; }
state() { sed -n 's/^state: //p' "$m/queries/$1/status"; }
is_state() { [ "$(state "$1")" = "$2" ]; }

# gentrace | weir: the header at once, the packets once both queries are there
mkdir "$m"
lib_mounts+=("$m")
"$GENTRACE" -n 20000 -r 1000 | {
	head -c 24
	wait_for 20 test -e "$T/go"
	cat
} | "$WEIR" -f - "$m" 2>"$T/weir.log" &
lib_pids+=($!)
wait_for 20 test -e "$m/queries/new"
result $? 'weir mounts a pipe once the header is there'
sums='group count() as n sum(len) as bytes'
hosts='filter -b tcp | group srcip count() as n sum(len) as bytes | sort -r n | head 20'
echo "all: packets | $sums" >"$m/queries/new"
echo "hosts: stdin | $hosts" >"$m/queries/new"
echo "tcp: stdin | where ipprotocol = 6 | $sums" >"$m/queries/new"
echo 'first: packets | head 3 | print ts len' >"$m/queries/new"
touch "$T/go"
query_ended "$m" all && query_ended "$m" hosts && query_ended "$m" tcp && query_ended "$m" first
result $? 'four queries end'
oracle() { # of a tcpdump expression: packets,bytes
	tcpdump -nner "$trace" "$@" 2>/dev/null |
		awk 'match($0, /length [0-9]+:/) { s += substr($0, RSTART + 7, RLENGTH - 8) } END { printf "%d,%d\n", NR, s }'
}
is "$(sed 1d "$m/queries/all/out.csv")" "$(oracle)" 'the first has all packets, as tcpdump counts them'
is "$(sed 1d "$m/queries/tcp/out.csv")" \
	"$(oracle 'tcp or (vlan and (tcp or (vlan and tcp)))')" 'so has another'
"$WEIR" run "packets | $hosts" "$trace" >"$T/hosts.csv"
same "$m/queries/hosts/out.csv" "$T/hosts.csv" 'a table is that of the file, byte by byte'
is "$(lines "$m/queries/first/out.csv")" 3 'head ends for itself'
is "$(awk '/^(passes|records|bytes):/ { print $2 }' "$m/sources/stdin/stats" | xargs)" "1 20000 $size" \
	'one pass, all records, all bytes'
like "$(cat "$m/sources/stdin/info")" '^state: ended$' 'its info says that it has ended'
like "$(cat "$m/sources/stdin/info")" '^link types: 1 ' 'and what its header says'
echo 'late: stdin | print ts' >"$m/queries/new"
query_ended "$m" late
is "$(state late) $(lines "$m/queries/late/out.csv")" 'done 0' 'a query that comes after the end gets nothing'
like "$(cat "$m/queries/late/status")" '^stdin: had ended after 20000 records$' 'status says so'
like "$(cat "$m/queries/late/log")" ' stdin: had ended after 20000 records$' 'log says so'
fusermount3 -u "$m"

# a slow writer
mkfifo "$T/pipe"
slow() { # slow ARGUMENT…: weir with the pipe as standard input, whose other end is 7
	"$WEIR" "$@" <"$T/pipe" 7>&- &
	p=$!
	lib_pids+=($p)
	exec 7>"$T/pipe"
}
e10=$(offset 11) e20=$(offset 21)
slow -f lab=- "$m"
head -c 10 "$trace" >&7
gone $p && result 1 'waits for the header'
part 10 24 >&7
wait_for 20 test -e "$m/queries/new"
echo 'a: lab | print ts len' >"$m/queries/new"
echo 't: lab | group count() as n' >"$m/queries/new"
part 24 "$e10" >&7
wait_for 10 has "$m/queries/a/out.csv" 10
result $? 'rows appear while the pipe stays open'
n_is() { [ "$(sed 1d "$m/queries/t/out.csv")" = "$1" ]; }
wait_for 10 n_is 10
result $? 'so does a table'
is "$(state a)" running 'and the query runs on'
echo 'b: lab | print ts len' >"$m/queries/new"
like "$(cat "$m/queries/b/log")" ' lab: begins at record 11$' 'a late query logs where it begins'
like "$(cat "$m/queries/b/status")" '^lab: begins at record 11$' 'and its status has it'
echo pause >"$m/queries/a/ctl"
wait_for 10 is_state a paused
part "$e10" $((e20 - 5)) >&7
wait_for 10 has "$m/queries/b/out.csv" 9
result $? 'whole packets are seen, the cut one waits'
like "$(cat "$m/queries/a/status")" '^lab\.skipped: 9$' 'a paused query counts what it is not given'
echo resume >"$m/queries/a/ctl"
wait_for 10 is_state a running
part $((e20 - 5)) "$e20" >&7
wait_for 10 has "$m/queries/b/out.csv" 10 && wait_for 10 has "$m/queries/a/out.csv" 11
result $? 'then comes too'
"$WEIR" run 'packets | print ts len' "$trace" >"$T/all.csv"
is "$(sed 1d "$m/queries/b/out.csv")" "$(sed -n 12,21p "$T/all.csv")" 'the rows are those of the file'
echo restart >"$m/queries/b/ctl"
wait_for 10 grep -q 'lab: begins at record 21$' "$m/queries/b/log"
result $? 'a query that is started again begins where the pipe is now'
rmdir "$m/queries/a"
is "$(ls -d "$m"/queries/*/ | wc -l)" 2 'a query is removed while its source is silent'
kill -TERM $p
wait_for 10 gone $p
result $? 'SIGTERM ends a mount that waits for standard input'
wait $p
is $? 0 'with status 0'
mountpoint -q "$m"
is $? 32 'it is unmounted'
exec 7>&-

slow -f - "$m"
is_weir() { [ "$(readlink "/proc/$p/exe")" = "$(readlink -f "$WEIR")" ]; }
wait_for 10 is_weir # before that it is a shell
kill -TERM $p
wait_for 10 gone $p
result $? 'SIGTERM ends one that waits for the header'
exec 7>&-

# in the background
slow - "$m"
part 0 "$e10" >&7
wait $p
is $? 0 'a mount of standard input goes to the background'
echo 'a: stdin | print ts len' >"$m/queries/new"
wait_for 10 has "$m/queries/a/out.csv" 10
result $? 'and reads on'
part "$e10" "$e20" >&7
exec 7>&-
query_ended "$m" a
is "$(lines "$m/queries/a/out.csv")" 20 'to the end'
fusermount3 -u "$m"

# weir run
q='packets | group ipprotocol count() as n sum(len) as bytes'
"$WEIR" run "$q" "$trace" >"$T/file.csv"
"$WEIR" run "$q" - <"$trace" >"$T/got.csv"
same "$T/got.csv" "$T/file.csv" 'run, standard input is the file'
cat "$trace" | "$WEIR" run "$q" - >"$T/got.csv"
same "$T/got.csv" "$T/file.csv" 'run, a pipe'
gzip -c "$trace" | "$WEIR" run "$q" >"$T/got.csv"
same "$T/got.csv" "$T/file.csv" 'run, a compressed pipe'
"$WEIR" run "$q" <(cat "$trace") >"$T/got.csv"
same "$T/got.csv" "$T/file.csv" 'run, a FIFO by its name'
slow run 'packets | head 3' - >"$T/got.csv"
part 0 "$e10" >&7
wait_for 10 gone $p
result $? 'run, head ends while the pipe is open'
exec 7>&-
is "$(lines "$T/got.csv")" 3 'with its rows'
# of two sources batches go one after the other, and where a pipe's are cut hangs on who fills it
q='(a | filter -b tcp + b | filter -b udp) | print ts len'
"$WEIR" run "$q" "a=$trace" "b=$trace" | sort >"$T/file.csv"
cat "$trace" | "$WEIR" run "$q" a=- "b=$trace" | sort >"$T/got.csv"
same "$T/got.csv" "$T/file.csv" 'run, united with a file'
cat "$trace" | "$WEIR" run "$q" a=- "b=$T/pipe" | sort >"$T/got.csv" &
cat "$trace" >"$T/pipe"
wait $!
same "$T/got.csv" "$T/file.csv" 'run, two pipes united'
like "$("$WEIR" run "pcapfile $T/pipe | head 1" 2>&1)" "not permitted: '$T/pipe' can be read only once" \
	'a FIFO in a query is refused'
like "$(timeout 5 "$WEIR" run 'pcapfile /dev/ptmx | head 1' 2>&1)" "not permitted: '/dev/ptmx' can be read only once" \
	'so is a terminal, for which nobody waits'
finish
