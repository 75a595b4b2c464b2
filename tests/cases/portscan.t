#!/bin/bash
# SPDX-License-Identifier: MIT
# portscan.t: who scans, in real captures, asked through a mount the moment it is there. The figures
# are tshark's: `-Y 'tcp.flags.syn==1 && tcp.flags.ack==0' -T fields -e ip.src -e ip.dst -e
# tcp.dstport | sort -u`, counted by source.
. "$(dirname "$0")/../lib.sh"
need_fuse
need_data scan/nDPI/synscan.pcap

ask() { # ask FILE QUERY: the answer, read right after the question
	local dir=$T/m$((++mounts))
	mount_weir "$dir" "$DATA/$1" || return
	echo "$2" >"$dir/queries/new"
	cat "$dir/queries/scan/out.csv"
	fusermount3 -u "$dir"
}
mounts=0
spread='uniq srcip dstip dstport | count -f spread srcip | last srcip | sort -r spread | head 3 | print srcip spread'

ask scan/nDPI/synscan.pcap "scan: packets | where flags.syn and not flags.ack | $spread" >"$T/a"
is "$(sed -n 2p "$T/a")" '172.16.0.8,1000' 'synscan: 172.16.0.8 asked 1000 ports of one host'

ask scan/nDPI/synscan.pcap 'scan: packets | where flags.syn and not flags.ack | group srcip distinct(dstip) as hosts distinct(dstport) as ports' >"$T/a"
is "$(grep '^172.16.0.8,' "$T/a")" '172.16.0.8,1,1000' 'synscan: by group and distinct'

ask scan/Pcaphunt/ps-tcp_syn.pcap 'scan: packets | where flags.syn and not flags.ack | uniq srcip dstip dstport | group srcip dstip count() as ports | where ports > 100 | sort dstip' >"$T/a"
is "$(grep -c '^10.0.0.140,.*,1000$' "$T/a")" 3 'ps-tcp_syn: 10.0.0.140 asked 1000 ports of each of three hosts'

ask scan/Malcolm-Test-Artifacts/445_scan.pcap 'scan: packets | where flags.syn and not flags.ack and dstport = 445 | group srcip distinct(dstip) as hosts | sort -r hosts' >"$T/a"
is "$(sed -n 2p "$T/a")" '176.192.150.3,9' '445_scan: 176.192.150.3 asked port 445 of nine hosts'

flood=dos/packet-captures/pkt.TCP.synflood.spoofed.pcap
ask $flood 'scan: packets | where flags.syn and not flags.ack and dstip = 10.10.10.10 and dstport = 25565 | group count() as syns distinct(srcip) as sources' >"$T/a"
is "$(sed -n 2p "$T/a")" '37841,37623' 'SYN flood: 37841 SYNs from 37623 sources'

ask $flood "scan: packets | where flags.syn and not flags.ack | $spread" >"$T/a"
is "$(sed -n 2p "$T/a" | cut -d, -f2)" 1 'SYN flood: no source asked more than one port'
finish
