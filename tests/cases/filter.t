#!/bin/bash
# SPDX-License-Identifier: MIT
# `filter -b` passes the packets that tcpdump passes with the same expression, on every link type;
# names are not looked up; criteria join, -v inverts.
. "$(dirname "$0")/../lib.sh"
need tcpdump
trace=$(realpath "$(sample)")

mine() { timeout 20 "$WEIR" run "packets | filter $1 | print ts len" "$2" 2>"$T/err" | sed 1d | wc -l; }
# tcpdump refuses to start where nothing can match
dump() { tcpdump -nr "$2" "$1" --count 2>/dev/null | awk '{ n = $1 } END { print n + 0 }'; }

while read -r bpf; do
	is "$(mine "-b '$bpf'" "$trace")" "$(dump "$bpf" "$trace")" "-b '$bpf'"
done <<'END'
tcp
udp port 53
tcp[tcpflags] & tcp-syn != 0
vlan
ip6
host 10.0.0.1 or net 10.0.0.0/9
greater 1000
less 64
port http or port domain
ether[0] & 1 = 1
portrange 1-1023 and not udp
ip proto 1 or icmp6
END

all=$(mine 'len>0' "$trace")
tcp=$(mine 'ipprotocol=tcp' "$trace")
is "$(mine 'ipprotocol=tcp dstport=80' "$trace")" "$(mine '-b "tcp dst port 80 or (vlan and tcp dst port 80 or (vlan and tcp dst port 80))"' "$trace")" \
	'two criteria must both hold'
is "$(mine 'ipprotocol=tcp -b "greater 1000"' "$trace")" "$(mine 'ipprotocol=tcp len>=1000' "$trace")" \
	'a criterion and -b must both hold'
is "$(mine '-v ipprotocol=tcp' "$trace")" "$((all - tcp))" '-v passes the others'
is "$(mine '-v ipprotocol=tcp -b "greater 1000"' "$trace")" \
	"$((all - $(mine 'ipprotocol=tcp len>=1000' "$trace")))" '-v with -b'

"$WEIR" run "packets | filter -b 'greater 1000' | head 100" -F pcap "$trace" >"$T/mine.pcap"
tcpdump -r "$trace" -c 100 -w "$T/dump.pcap" 'greater 1000' 2>/dev/null
is "$(tcpdump -tt -xx -nr "$T/mine.pcap" 2>/dev/null | md5sum)" \
	"$(tcpdump -tt -xx -nr "$T/dump.pcap" 2>/dev/null | md5sum)" 'as pcap, byte for byte'

wrong() { # wrong STAGE MESSAGE
	"$WEIR" check "packets | $1" "$trace" >"$T/out" 2>&1
	like "$(cat "$T/out")" "$2" "refused: $1"
}
wrong "filter -b 'host example.com'" "bad BPF expression: 'example.com' is no keyword, and names are not looked up"
wrong "filter -b 'tcp and and'" 'bad BPF expression: .*syntax error'
wrong "filter -b 'port nosuchservice'" 'bad BPF expression'
wrong 'filter' "'filter' needs a criterion or -b"
wrong 'filter srcpot=80' "unknown field 'srcpot' \(did you mean 'srcport'\?\)"
wrong 'filter srcport=10.0.0.1' 'cannot compare a number with an address'
wrong "project len | filter -b tcp" "'filter -b' needs packets"

# every link type there is
if [ -d "$DATA/linktypes" ]; then
	bad=0 n=0
	for f in $(find "$DATA/linktypes" -name '*.pcap' -size -200k | sort); do
		tcpdump -nr "$f" -c 1 >/dev/null 2>&1 || continue
		for bpf in tcp 'greater 100' ip6; do
			want=$(dump "$bpf" "$f")
			got=$(mine "-b '$bpf'" "$f")
			n=$((n + 1))
			[ "$got" = "$want" ] || { bad=$((bad + 1)); note "$f '$bpf': $got, tcpdump $want"; }
		done
	done
	is "$bad" 0 "$n filters over captures of all link types"
else
	skip 'captures of all link types' "$DATA/linktypes is not here"
fi
finish
