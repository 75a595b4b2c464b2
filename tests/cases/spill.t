#!/bin/bash
# SPDX-License-Identifier: MIT
# Records on disk: with a tenth of the memory that a query needs, the same bytes as in memory; too
# little disk, folders that cannot be written, other users' folders, full disks.
. "$(dirname "$0")/../lib.sh"
need_fuse
"$GENTRACE" -n 200000 -s 96 -w "$T/t.pcap"
"$GENTRACE" -n 700000 -f 500000 -H 60000 -s 96 -w "$T/large.pcap"
touch -d '1 hour ago' "$T/large.pcap" # the mount keeps its headers: later questions are asked of these
m=$T/m d=$T/d
mkdir "$d"
mount_weir "$m" "s=$T/large.pcap" || exit 1
q=$m/queries

field() { sed -n "s/^$2: //p" "$q/$1/status"; }

# ask NAME SPEC: its answer in $T/NAME
ask() {
	echo "$1: $2" >"$q/new"
	query_ended "$m" "$1" 60 || { note "$1: $(field "$1" error)"; return 1; }
	cat "$q/$1/out.csv" >"$T/$1"
}

# tenth N QUERY DESCRIPTION: through the mount; the answer is small, the tables are not
tenth() {
	local limit
	ask "mem$1" "set threads 1 packets | $2" || { result 1 "$3"; return; }
	limit=$(($(field "mem$1" memory_peak) / 10))
	ask "disk$1" "set spill $d 1GB set memory $((limit / 1024))KB packets | $2"
	same "$T/disk$1" "$T/mem$1" "$3"
	ok "$3: on disk, and within $((limit >> 10)) KiB" test "$(field "disk$1" spill_peak)" -gt 0 -a \
		"$(field "disk$1" memory_peak)" -le "$limit"
	is "$(field "disk$1" spill)" 0 "$3: the disk is given back"
	# each node has a few, one after the other, and one more for a part that is divided again, which the seed of
	# the hashes decides; a file for each part would be 64 for each node
	ok "$3: few descriptors" test "$(field "disk$1" spill_files)" -le 48
	rmdir "$q/mem$1" "$q/disk$1"
}

tenth 1 'group srcip srcport seq ts count() sum(len) as b | group count() sum(b)' 'group'
tenth 2 'last srcip srcport seq ts | group dstport sum(len) | head 30' 'last'
tenth 3 'uniq srcip dstip srcport dstport seq ts | count srcip | last srcip | sort -r count | head 20 | print srcip count' 'uniq'
tenth 4 'sort -r len srcip | skip 100000 | head 20 | print ts len srcip dstip' 'sort'
tenth 5 'group srcip srcport seq ts count() as n | sort n -r srcip seq | group srcip count() first(seq) | head 100' 'two of them'
tenth 6 'where ipprotocol in (6, 17) | uniq srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | head 10 | print srcip spread' 'port scan spread'
tenth 7 'group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes | sort -r bytes | head 10' 'flow table'
tenth 8 'uniq seq srcip dstip srcport dstport | count seq | last seq | pdf | sort -r probability | head 100 | print seq probability' 'sequence numbers'
tenth 9 'count srcip srcport | count -f of dstip | where count > 1 | group dstip max(count) max(of) first(ts) | head 50' 'running counts'
is "$(ls -A "$d")" '' 'no file has a name'
like "$(cat "$m/sources/s/info")" '^cache: filled' 'the trace was not read again'

# ---- whole answers, streams too ----

# run LIMIT QUERY DESCRIPTION
run() {
	"$WEIR" run "packets | $2" "$T/t.pcap" >"$T/want"
	"$WEIR" run "set spill $d 1GB set memory $1 packets | $2" "$T/t.pcap" >"$T/got" 2>"$T/err"
	same "$T/got" "$T/want" "$3" || note "$(cat "$T/err")"
	"$WEIR" run "set memory $1 packets | $2" "$T/t.pcap" >"$T/got" 2>"$T/err"
	like "$(cat "$T/err")" 'memory limit' "$3: not in memory"
}

run 4MB 'uniq srcip dstip srcport dstport seq | print ts srcip dstip srcport' 'a stream'
run 4MB 'uniq srcip srcport seq | count -f spread srcip | print ts srcip spread' 'running counts behind uniq'
run 4MB 'uniq srcip srcport seq | last srcip seq | print srcip seq len' 'uniq and last'
run 4MB 'group srcip srcport dstip dstport ipprotocol seq count() sum(len) min(ts) max(ts)' 'flows'
run 4MB 'group srcip srcport seq mean(len) stddev(len) distinct(dstip) first(ts) last(ts)' 'all figures'
run 4MB 'group payload seq count()' 'keys of text'
run 4MB 'count srcip srcport seq | print ts srcip count' 'running counts, in the order of the records'
run 4MB 'uniq seq srcip dstip srcport dstport | count seq | last seq | pdf | print seq probability' 'shares'
run 8MB 'sort -r payload ts | print ts len' 'sorted by text'
run 4MB 'sort len | print len ts srcip dstip srcport' 'sorted, many equal'
run 4MB 'sort seq -r dstip | head 2000000 | print seq dstip' 'missing values come last'
run 4MB 'window 5s | group srcip srcport seq ts count()' 'in windows'
for s in breadth workers; do
	"$WEIR" run "set scheduler $s set threads 2 set spill $d 1GB set memory 8MB packets | group srcip seq count()" \
		"$T/t.pcap" >"$T/got"
	"$WEIR" run "packets | group srcip seq count()" "$T/t.pcap" >"$T/want"
	same "$T/got" "$T/want" "scheduler $s"
done
is "$("$WEIR" run "set spill $d 1GB set memory 4MB packets | group srcip seq count() | group count() | print count" "$T/t.pcap")" \
	"$("$WEIR" run "packets | print srcip seq" "$T/t.pcap" | tail -n +2 | sort -u |
		awk 'END { print "count"; print NR }')" 'as many as awk finds'

# ---- what the plan and the status say ----

echo "p: set spill $d 64MB packets | uniq srcip | count dstip | group dstip count()" >"$q/new"
query_ended "$m" p
like "$(cat "$q/p/plan")" "^spill: $d, at most 67108864 bytes, by uniq, count, group\$" 'the plan names the stages that spill'
echo "n: set spill $d 64MB packets | sort len | head 3" >"$q/new"
query_ended "$m" n
like "$(cat "$q/n/status")" '^spill: no stage can$' 'the status says where none can'
echo "u: set spill $d 64MB packets | (uniq srcip + where len > 1000) | head 3" >"$q/new"
like "$(cat "$q/u/plan")" 'by no stage$' 'a branch that must keep its turn does not'

# ---- too little, not permitted ----

big='packets | group srcip srcport seq ts count()'
fails() { "$WEIR" run "$1" "$T/t.pcap" 2>&1 >/dev/null; }
like "$(fails "set spill $d 1MB set memory 4MB $big")" \
	"'group' needs more than 1 MiB on disk \(raise the size in 'set spill', or 'set memory'\)" 'SPILL_LIMIT'
like "$(fails "set spill $T/none 1MB $big")" "cannot open '$T/none': No such file" 'no such folder'
like "$(fails "set spill $T/t.pcap 1MB $big")" "cannot open '$T/t.pcap': Not a directory" 'no folder'
like "$("$WEIR" check "set spill $d 3 packets | head 3" 2>&1)" 'out of range|64' 'a size that is none'
like "$("$WEIR" check "set spill $d" 2>&1)" "expected a size behind the folder" 'and be there'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	chmod 755 "$T"
	chmod 700 "$d"
	nobody bash -c "echo 'o: set spill $d 64MB $big' >$q/new" 2>/dev/null
	like "$(tail -n 4 "$q/errors")" "cannot open '$d': Permission denied" "another user's folder"
	mkdir -m 777 "$T/all"
	nobody bash -c "echo 'a: set spill $T/all 64MB packets | group srcip count()' >$q/new"
	ok 'a folder of all is one for him' query_ended "$m" a
	mkdir "$T/full"
	if mount -t tmpfs -o size=1m tmpfs "$T/full" 2>/dev/null; then
		lib_mounts+=("$T/full")
		like "$(fails "set spill $T/full 1GB set memory 4MB $big")" \
			"cannot keep records of 'group' on disk in '$T/full': No space left on device" 'SPILL_FAILED, a full disk'
		like "$(fails "set spill $T/full 1GB set memory 4MB packets | sort ts -r | print ts len srcip")" \
			"of 'sort' on disk in '$T/full': No space" 'the same of sort'
		echo "f: set spill $T/full 1GB set memory 4MB $big" >"$q/new"
		query_ended "$m" f
		like "$(cat "$q/f/status")" "^error: cannot keep .* No space left" 'that query fails'
		echo "g: packets | head 3" >"$q/new"
		ok 'others do not' query_ended "$m" g
		is "$(df --output=used "$T/full" | tail -1 | tr -d ' ')" 0 'the disk is given back'
		umount "$T/full"
	else
		skip 'a full disk' 'no tmpfs can be mounted'
	fi
else
	skip 'rights' 'needs root and setpriv'
fi
finish
