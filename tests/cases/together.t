#!/bin/bash
# SPDX-License-Identifier: MIT
# Queries that arrive together through a mount: each answers as `weir run` does alone, beside others that
# stop, rest, fail or may not read their file, and they share a pass over the trace.
. "$(dirname "$0")/../lib.sh"
need_fuse
need taskset
weir=$WEIR
# one CPU: then any two are more than there are CPUs for
printf '#!/bin/sh\nexec taskset -c %s %s "$@"\n' "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" "$weir" >"$T/one"
chmod 755 "$T/one" "$T"
WEIR=$T/one
"$GENTRACE" -n 300000 -r 5000 -s 96 -w "$T/a.pcap"
queries=(
	'packets | group srcip count() sum(len) as bytes | sort -r bytes | head 10'
	'packets | where ipprotocol in (6, 17) | uniq srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | head 10 | print srcip spread'
	'packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes | sort -r bytes | head 10'
	'packets | group dstip count() | sort -r count | head 10'
	'packets | group dstport count() sum(len) | sort -r count | head 10'
	'packets | where flags.syn and not flags.ack | group srcip count() | sort -r count | head 10'
	'packets | group srcip distinct(dstip) as peers | sort -r peers | head 10'
	'packets | window 10s | group ipprotocol count()'
	'packets | group ttl count()'
	'packets | group count() sum(len)'
)
for k in "${!queries[@]}"; do "$weir" run "${queries[k]}" "$T/a.pcap" >"$T/want$k"; done

figure() { sed -n "s/^$2: //p" "$1"; }
joined() { figure "$m/sources/a/stats" joined; }
is_joined() { [ "$(joined)" -gt "$before" ]; }
all() { # all SETTING: asks for all at once; the numbers of those that answered otherwise than alone
	local k pids=() wrong=
	for k in "${!queries[@]}"; do
		echo "q$k: $1 ${queries[k]}" >"$m/queries/new" &
		pids+=($!)
	done
	wait "${pids[@]}"
	for k in "${!queries[@]}"; do
		query_ended "$m" "q$k" 60 && cmp -s "$m/queries/q$k/out.csv" "$T/want$k" || wrong="$wrong $k"
	done
	printf '%s' "$wrong"
}
drop() { rmdir "$m"/queries/q*; }

for o in cache=0 cache=64MB cache=0,threads=3; do
	m=$T/m-$o
	mount_weir "$m" "a=$T/a.pcap" -o $o || exit 1
	for s in '' 'set scheduler depth' 'set scheduler breadth' 'set scheduler workers'; do
		is "$(all "$s")" '' "-o $o $s: ten at once answer as alone"
		drop
	done
	if [[ $o = cache=0* ]]; then
		# whether they meet is up to the machine, that they do now and then is not
		before=$(joined)
		for ((i = 0; i < 30; i++)); do
			all '' >/dev/null
			shared=$(cat "$m"/queries/q*/plan | grep -c 'joint pass of')
			drop
			[ "$shared" -gt 1 ] && break
		done
		ok "-o $o: a plan says that the pass is joint" test "$shared" -gt 1
		ok "-o $o: so do the stats of the source" wait_for 30 is_joined
	fi
	fusermount3 -u "$m" && wait "${lib_pids[-1]}"
done

# one stops, one rests, one fails, one has enough
m=$T/m
mount_weir "$m" "a=$T/a.pcap" -o cache=0 || exit 1
for k in 0 1 2; do echo "q$k: ${queries[k]}" >"$m/queries/new" & done
echo 'stops: packets | group srcip dstip count()' >"$m/queries/new"
echo stop >"$m/queries/stops/ctl"
echo "rests: ${queries[3]}" >"$m/queries/new"
echo pause >"$m/queries/rests/ctl"
echo 'fails: set memory 1MB packets | uniq ts srcip dstip srcport | print ts' >"$m/queries/new"
echo 'enough: packets | where ipprotocol = 17 | head 10 | print ts srcip' >"$m/queries/new"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	cp "$T/a.pcap" "$T/secret.pcap"
	chmod 600 "$T/secret.pcap" "$T/a.pcap"
	nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- bash -c "$1" 2>&1; }
	like "$(nobody "cp /dev/stdin $m/queries/new <<<'secret: pcapfile $T/secret.pcap | group srcip count()'")" 'ermission denied' \
		'who may not read a file is refused it, whoever reads what'
	nobody "echo 'theirs: ${queries[4]}' >$m/queries/new"
	query_ended "$m" theirs && same "$m/queries/theirs/out.csv" "$T/want4" "the mount's own they may ask"
else
	skip 'rights' 'needs root and setpriv'
fi
for k in 0 1 2; do
	query_ended "$m" q$k && same "$m/queries/q$k/out.csv" "$T/want$k" "beside those: ${queries[k]}"
done
query_ended "$m" enough && same "$m/queries/enough/out.csv" <("$weir" run 'packets | where ipprotocol = 17 | head 10 | print ts srcip' "$T/a.pcap") \
	'who has enough'
ok 'who has no memory fails' wait_for 30 grep -q '^state: failed' "$m/queries/fails/status"
ok 'who stops has stopped, or had ended' grep -qE '^state: (stopped|done)' "$m/queries/stops/status"
echo resume >"$m/queries/rests/ctl"
query_ended "$m" rests && same "$m/queries/rests/out.csv" "$T/want3" 'who rested goes on'
finish
