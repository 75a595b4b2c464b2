#!/bin/bash
# SPDX-License-Identifier: MIT
# Random expressions, evaluated by weir and by sqlite3 on the same packets. What a comparison with
# null is in SQL (null) is false here, so each is wrapped in ifnull(…, 0).
. "$(dirname "$0")/../lib.sh"
need python3 sqlite3
trace=$(realpath "$(sample)")
for seed in 1 2 3 4 5 6; do
	ok "120 random expressions as sqlite3 has them, seed $seed" \
		python3 "$(dirname "$0")/expr.py" "$WEIR" "$trace" "$seed" 120
done

# address and time literals against tcpdump's own filters
need tcpdump
count() { "$WEIR" run "packets | where $1 | print len" "$trace" | sed 1d | wc -l; }
# tcpdump looks behind VLAN tags only where it is told
dump() { tcpdump -nr "$trace" "($1) or (vlan and (($1) or (vlan and ($1))))" --count 2>/dev/null | cut -d" " -f1; }
while IFS='~' read -r mine theirs; do
	is "$(count "$mine")" "$(dump "$theirs")" "$mine"
done <<'END'
srcip in 10.0.0.0/8~src net 10.0.0.0/8
srcip = 10.0.0.0/9 or dstip = 10.0.0.0/9~net 10.0.0.0/9
srcip in (10.0.0.0/10, 10.128.0.0/10, fd00::/16)~src net 10.0.0.0/10 or src net 10.128.0.0/10 or src net fd00::/16
srcip in 2000::/3~src net 2000::/3
dstport in (80, 443, 8080)~dst port 80 or dst port 443 or dst port 8080
ipprotocol = tcp and flags.syn and not flags.ack~(tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn) or (ip6 proto 6 and ip6[53] & 18 == 2)
not (ipprotocol = tcp or ipprotocol = udp)~(ip or ip6 or arp) and not tcp and not udp
len > 1000 and srcport < 1024~greater 1001 and src portrange 0-1023
len > 100.5~greater 101
END
finish
