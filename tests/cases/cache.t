#!/bin/bash
# SPDX-License-Identifier: MIT
# The column cache through a mount: a second question gets the bytes that `weir run` gives, with any
# number of threads; what it takes, where it ends, and when it is not used.
. "$(dirname "$0")/../lib.sh"
need_fuse
old='2024-01-01' # files that were changed lately are not kept
cp "$(sample)" "$T/a.pcap"
"$GENTRACE" -n 30000 -r 500 -s 96 -w "$T/b.pcap"
touch -d $old "$T/a.pcap" "$T/b.pcap"
n=0

# ask MOUNT QUERY: the answer to $T/got; $cached is the number of its sources that came from the cache
ask() {
	n=$((n + 1))
	echo "q$n: $2" >"$1/queries/new" 2>/dev/null && query_ended "$1" q$n || { note "$2: $(grep -h '^error' "$1/queries/q$n/status")"; return 1; }
	cp "$1/queries/q$n/out.csv" "$T/got"
	cached=$(sed -n 's/^from_cache: //p' "$1/queries/q$n/status")
	rmdir "$1/queries/q$n"
}
state() { sed -n 's/^cache: //p' "$1/sources/$2/info"; }
figure() { sed -n "s/^$2: //p" "$1/status"; }
# Such texts are made anew once a second at most.
is_state() { [ "$(state "$1" "$2")" = "$3" ]; }
comes_to() { wait_for 30 is_state "$@"; }
is_figure() { [ "$(figure "$1" "$2")" = "$3" ]; }
shows() { wait_for 30 is_figure "$@"; }
fill() { ask "$1" "$2 | group count()" && comes_to "$1" "$2" filled; }
unmount() { fusermount3 -u "$1" && wait "${lib_pids[-1]}"; }

# ---- the same bytes ----

fields=(srcip dstip srcport dstport ipprotocol vlan ethertype ipversion flags flags.syn flags.fin fragment linktype len caplen)
random_query() {
	local a=${fields[RANDOM % 15]} b=${fields[RANDOM % 15]} c=${fields[RANDOM % 15]} w
	case $((RANDOM % 3)) in
	0) w="where ipprotocol = $((RANDOM % 2 ? 6 : 17)) | " ;;
	1) w="where len > $((RANDOM % 1500)) | " ;;
	*) w= ;;
	esac
	case $((RANDOM % 7)) in
	0) echo "packets | ${w}group $a $b count() sum(len) as bytes min(ts) max(caplen)" ;;
	1) echo "packets | ${w}uniq $a $b | count -f other $c | print ts $a other" ;;
	2) echo "packets | ${w}window $((1 + RANDOM % 9))s | group $a count()" ;;
	3) echo "packets | ${w}split $a (count $b) | print ts $a count | head 2000" ;;
	4) echo "packets | ${w}(uniq $a + group $b count()) | print $a $b count" ;;
	5) echo "packets | ${w}sort len ts | head 50 | print ts len $a $b" ;;
	*) echo "packets | ${w}count $a | last $a | print $a $b $c count" ;;
	esac
}

RANDOM=${SEED:-1}
{
	grep -ohE "^(\\$|>) .*" examples/[0-9]*.txt | grep -oE "'(packets|pcapfile -)[^']*'" | tr -d "'"
	"$WEIR" modules | awk '{ print $1 }' | while read -r m; do
		"$WEIR" modules "$m" | sed -n 's/^ *\(\(packets\|pcapfile -\) .*\)/\1/p' | tail -1
	done
	for ((i = 0; i < 40; i++)); do random_query; done
} | grep -vE 'pcapwrite|window.*-[0-9]' >"$T/queries"

for t in 1 3; do
	m=$T/m$t
	mount_weir "$m" "a=$T/a.pcap" -o threads=$t || { result 1 mount; finish; }
	is "$(state "$m" a)" empty "$t threads: nothing is kept before somebody asks"
	ok "$t threads: the first question fills it" fill "$m" a
	served=0 bad= asked=0
	while IFS= read -r q; do
		"$WEIR" run "$q" "$T/a.pcap" >"$T/want" 2>/dev/null || continue
		ask "$m" "$q" || continue
		asked=$((asked + 1))
		cmp -s "$T/got" "$T/want" || bad+="$q; "
		served=$((served + (cached > 0)))
	done <"$T/queries"
	is "$bad" '' "$t threads: the same bytes as weir run"
	ok "$t threads: most of $asked are served ($served)" test "$served" -gt $((asked / 2))
	ok "$t threads: hits are counted" shows "$m" cache_hits $served
	for q in 'packets | print ts payload' 'packets | print ts srcip seq' 'packets | head 3' 'packets where ttl < 9 | group count()'; do
		ask "$m" "$q"
		"$WEIR" run "$q" "$T/a.pcap" >"$T/want"
		is "$cached $(cmp "$T/got" "$T/want" 2>&1)" '0 ' "$t threads: from the file: $q"
	done
	unmount "$m"
done

# ---- what it takes ----

m=$T/both
mount_weir "$m" "a=$T/a.pcap" "b=$T/b.pcap"
fill "$m" a
fill "$m" b
shows "$m" cache_traces 2
bytes=$(figure "$m" cache_bytes)
ok "two traces of 50,000 packets take $bytes bytes: at most 32 a packet" test "$bytes" -le $((50000 * 32))
q='packets | group srcip count() sum(len)'
ask "$m" "$q"
is "$cached" 0 'all sources together are another trace'
shows "$m" cache_traces 3
"$WEIR" run "$q" "$T/a.pcap" "$T/b.pcap" >"$T/want"
ask "$m" "$q"
is "$cached" 1 'which is kept, too'
same "$T/got" "$T/want" 'and gives the same bytes'
q='(a | uniq srcip + b | where len > 900) | print ts srcip len'
ask "$m" "set scheduler depth $q"
is "$cached" 2 'two sources of one query'
# the same names in a mount without a cache
mount_weir "$T/none" "a=$T/a.pcap" "b=$T/b.pcap" -o cache=0
cp "$T/got" "$T/first"
ask "$T/none" "$q"
same "$T/first" "$T/got" 'give the same bytes'
is "$(state "$T/none" a) ${cached:-none} $(figure "$T/none" cache_limit)" 'off none 0' 'cache=0: there is none'
unmount "$T/none"

# ---- a file that changes ----

"$GENTRACE" -n 5000 -r 500 -s 96 -w "$T/more.pcap"
tail -c +25 "$T/more.pcap" >>"$T/b.pcap"
touch -d $old "$T/b.pcap"
q='b | group ipprotocol count() sum(len)'
ask "$m" "$q"
is "$cached" 0 'a trace that grew is read anew'
"$WEIR" run "${q/b /packets }" "$T/b.pcap" >"$T/want"
same "$T/got" "$T/want" 'all of it'
comes_to "$m" b filled
ask "$m" "$q"
is "$cached" 1 'and kept anew'
cp "$T/b.pcap" "$T/c.pcap"
touch -d $old "$T/c.pcap"
mv "$T/c.pcap" "$T/b.pcap"
ask "$m" "$q"
is "$cached" 0 'another file under its name, though it looks the same'
touch "$T/b.pcap"
for i in 1 2; do
	ask "$m" "$q"
	comes_to "$m" b empty
	is "$cached $(state "$m" b)" '0 empty' "a file that was changed just now is not kept ($i)"
done
unmount "$m"

# ---- limits ----

m=$T/small
mount_weir "$m" "a=$T/a.pcap" -o cache=100KB
ask "$m" 'a | group count()'
comes_to "$m" a 'too small for this trace'
is "$(state "$m" a) $(figure "$m" cache_bytes)" 'too small for this trace 0' 'a trace above the limit is not kept'
ask "$m" 'a | group count()'
is "$cached $(tail -1 "$T/got")" '0 20000' 'and is read each time'
unmount "$m"

"$GENTRACE" -n 20000 -r 1000 -s 96 -S 7 -w "$T/d.pcap" 2>/dev/null || "$GENTRACE" -n 20000 -r 900 -s 96 -w "$T/d.pcap"
touch -d $old "$T/d.pcap"
mount_weir "$m" "a=$T/a.pcap" "d=$T/d.pcap" -o cache=1000KB
fill "$m" a
fill "$m" d
comes_to "$m" a empty
shows "$m" cache_dropped 1
is "$(state "$m" a) $(state "$m" d) $(figure "$m" cache_dropped)" 'empty filled 1' 'room for one: the other goes'
ask "$m" 'd | group srcip count()'
is "$cached" 1 'the one that is there serves'
fill "$m" a
comes_to "$m" d empty
shows "$m" cache_dropped 2
is "$(state "$m" a) $(state "$m" d) $(figure "$m" cache_dropped)" 'filled empty 2' 'and back again'
ok 'within the limit' test "$(figure "$m" cache_bytes)" -le 1000000
unmount "$m"

# ---- broken, live, removed midway ----

head -c -1000 "$T/a.pcap" >"$T/cut.pcap"
touch -d $old "$T/cut.pcap"
mount_weir "$m" "c=$T/cut.pcap"
fill "$m" c
for i in 1 2; do echo "f$i: c | group count()" >"$m/queries/new"; query_ended "$m" f$i; done
is "$(grep -c '^fault: ' "$m/queries/f2/status") $(sed -n 's/^from_cache: //p' "$m/queries/f2/status")" '1 1' 'a cut trace: what is wrong is told from the cache, too'
is "$(grep '^fault: ' "$m/queries/f2/status")" "$(grep '^fault: ' "$m/sources/c/info")" 'in the same words'
unmount "$m"

mount_weir "$m" "a=$T/a.pcap" -o speed=100000
ask "$m" 'a | head 100 | group count()'
is "$(state "$m" a) $cached" 'not for this source 0' 'a replay is not kept'
unmount "$m"

mount_weir "$m" "a=$T/a.pcap"
for i in 1 2 3 4 5 6; do
	echo "r$i: a | group srcip dstip ts count()" >"$m/queries/new"
	rmdir "$m/queries/r$i"
done
fill "$m" a
ask "$m" 'a | group count()'
is "$cached $(tail -1 "$T/got")" '1 20000' 'queries that are removed midway leave no half of it'
unmount "$m"

for o in cache=x cache=-1 cache=; do
	"$WEIR" -f "a=$T/a.pcap" -o "$o" "$T/both" >/dev/null 2>"$T/err"
	is $? 2 "-o $o is refused"
done
finish
