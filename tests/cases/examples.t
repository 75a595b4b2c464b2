#!/bin/bash
# SPDX-License-Identifier: MIT
# Each transcript in examples/ gives what it shows, on the sample trace; and what it shows is what
# other programs say, where one can answer the same question.
# UPDATE=1: writes the transcripts' outputs anew instead.
. "$(dirname "$0")/../lib.sh"
top=$PWD
trace=$(realpath "$(sample)")
mkdir "$T/bin" "$T/dir"
ln -s "$(realpath "$WEIR")" "$T/bin/weir"
ln -s "$trace" "$T/dir/sample.pcap"
PATH=$T/bin:$PATH
peer=$(realpath "$BUILD/tests/bench/peer" 2>/dev/null)

# play FILE: its first comment and its commands as they are, each command followed by its output
play() {
	local line command= started=
	run() {
		[ -z "$command" ] && return
		(cd "$T/dir" && timeout 60 bash -c "$command" 2>&1)
		command=
	}
	while IFS= read -r line; do
		case $line in
		'$ '*) run; printf '%s\n' "$line"; command=${line#??} started=1 ;;
		'> '*) printf '%s\n' "$line"; command+=$'\n'${line#??} ;;
		'#'*) [ -n "$started" ] || printf '%s\n' "$line" ;; # later ones are output
		esac
	done <"$1"
	run
}

for f in examples/[0-9]*.txt; do
	name=$(basename "$f")
	if grep -q '^\$ weir sample.pcap' "$f" && [ ! -r /dev/fuse ]; then
		skip "$name" 'no /dev/fuse'
		continue
	fi
	play "$f" >"$T/out"
	[ -n "${UPDATE:-}" ] && cp "$T/out" "$f"
	same "$T/out" "$f" "$name"
done

# ---- oracles ----

csv() { (cd "$T/dir" && weir run "$1" sample.pcap) | tail -n +2; }
tshark_rows() { # FILTER FIELD…
	local filter=$1 f a=()
	shift
	for f; do a+=(-e "$f"); done
	tshark -n -r "$trace" -Y "$filter" -T fields -E separator=, -E occurrence=f "${a[@]}" 2>/dev/null
}

query=(
	[1]='packets | group count() sum(len) as bytes'
	[2]='packets | group srcip count() sum(len) as bytes | sort -r bytes | head 10'
	[3]='packets | where ipprotocol in (6, 17) | uniq srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | head 10 | print srcip spread'
	[4]='packets | group srcip dstip srcport dstport ipprotocol count() sum(len) as bytes | sort -r bytes | head 10'
	[5]='pcapfile - | uniq seq srcip dstip srcport dstport | count seq | last seq | pdf | print seq probability'
)
for q in 1 2 3 4 5; do
	if [ -x "$peer" ]; then
		is "$(csv "${query[q]}")" "$("$peer" "$q" "$trace" | tail -n +2)" "question $q: as the program in C"
	else
		skip "question $q" 'tests/bench/peer is not built'
	fi
done

if command -v tshark >/dev/null; then
	is "$(csv 'packets where flags.syn and not flags.ack | group dstip count() distinct(srcip) as sources | sort -r sources | head 1')" \
		"$(tshark_rows 'tcp.flags.syn == 1 && tcp.flags.ack == 0' ip.dst ipv6.dst ip.src ipv6.src |
			awk -F, '{ d = $1 $2; s = $3 $4; n[d]++; if (!seen[d, s]++) k[d]++ } END { for (d in n) print d "," n[d] "," k[d] }' |
			sort -t, -k3,3nr | head -1)" 'SYN flood: as tshark counts'
	is "$(csv 'packets where udplen and srcport = 53 | group count() distinct(srcip) as resolvers')" \
		"$(tshark_rows 'udp.srcport == 53' ip.src ipv6.src | awk -F, '{ n++; if (!seen[$1 $2]++) r++ } END { print n "," r }')" \
		'DNS answers: as tshark counts'
	is "$(csv 'packets where icmptype = 8 | group count()')" \
		"$(tshark_rows 'icmp.type == 8' frame.number | wc -l)" 'pings: as tshark counts'
	is "$(csv 'packets where tcplen > 0 | count -f times seq srcip dstip srcport dstport | where times > 1 | group count()')" \
		"$(tshark_rows 'tcp.len > 0' tcp.seq_raw ip.src ipv6.src ip.dst ipv6.dst tcp.srcport tcp.dstport | awk 'seen[$0]++ { n++ } END { print n + 0 }')" \
		'retransmissions: as awk finds them in what tshark prints'
	is "$(csv 'packets | window 5s | group count() sum(len) as bytes' | awk -F, '{ n += $1; b += $2 } END { print n "," b }')" \
		"$(tshark_rows frame frame.len | awk '{ b += $1 } END { print NR "," b }')" 'windows: they add up to the whole'
fi
finish
