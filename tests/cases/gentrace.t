#!/bin/bash
# SPDX-License-Identifier: MIT
# The generator's traces: well-formed, the same in every format, deterministic, with what they
# promise inside. The oracles are tshark, tcpdump and awk.
. "$(dirname "$0")/../lib.sh"
need tshark tcpdump
G=$(realpath "$GENTRACE")
[ -x "$G" ] || skip_all 'tests/gen/gentrace is not built'
cd "$T" || exit 1
fields() { tshark -n -r - -T fields "$@" 2>/dev/null; }

"$G" -n 20000 -w a.pcap
"$G" -n 20000 >b.pcap
same a.pcap b.pcap 'the same seed gives the same bytes, to a file or a pipe'
"$G" -n 20000 -S 2 >c.pcap
ok 'another seed gives another trace' bash -c '! cmp -s a.pcap c.pcap'
is "$(fields -e frame.number <a.pcap | wc -l)" 20000 'as many packets as asked for'
is "$(fields -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -e ip.checksum.status \
	-e tcp.checksum.status -e udp.checksum.status -e icmp.checksum.status -e icmpv6.checksum.status <a.pcap |
	tr ',\t' '\n\n' | grep -c '[024]')" 0 'every checksum is right (3: that of a quoted header, cut)'
is "$(tshark -n -r a.pcap -o ip.check_checksum:TRUE -Y 'tcp.analysis.lost_segment || ip.bogus_header_length || udp.length.bad' 2>/dev/null | wc -l)" 0 'no gap in any stream'
like "$(tshark -n -r a.pcap -Y tcp.analysis.retransmission 2>/dev/null | wc -l)" '^[1-9][0-9]+$' 'there are retransmissions'
want=$(tcpdump -nn -tt -v -r a.pcap 2>/dev/null | md5sum)
for o in -N -b -g '-g -N' '-g -b' '-N -b'; do
	is "$("$G" -n 20000 $o | tcpdump -nn -tt -v -r - --time-stamp-precision=micro 2>/dev/null | md5sum)" "$want" "$o: the same packets"
done
"$G" -n 20000 -s 60 >s.pcap
is "$(fields -e frame.cap_len <s.pcap | sort -n | tail -1)" 60 'cut at the snap length'
is "$(fields -e frame.len <s.pcap | md5sum)" "$(fields -e frame.len <a.pcap | md5sum)" 'which changes no length'
for f in ip ipv6 vlan ieee8021ad tcp udp dns icmp icmpv6; do
	like "$(tshark -n -r a.pcap -Y "$f" 2>/dev/null | wc -l)" '^[1-9]' "has $f"
done
is "$(fields -e tcp.flags.syn -e tcp.flags.ack -e ip.src -e tcp.dstport <a.pcap |
	awk '$1 == 1 && $2 == 0 && !s[$3, $4]++ { n[$3]++ } END { for (k in n) print n[k], k }' | sort -rn | head -1 | cut -d' ' -f2)" \
	203.0.113.66 'the scanner tries the most ports'
is "$(fields -e frame.time_epoch <a.pcap | sort -c 2>&1)" '' 'times never go back'
"$G" -x 2>/dev/null
is $? 2 'a wrong option'
"$G" -n 0 2>/dev/null
is $? 2 'a value out of range'
"$G" -n 1000 >/dev/full 2>err
is "$? $(cat err)" '1 gentrace: write: No space left on device' 'a full disk is said'
finish
