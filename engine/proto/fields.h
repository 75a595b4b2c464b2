/* SPDX-License-Identifier: MIT */
/* fields.h: every field of a packet, once.
 *
 * X(twin, id, name, kind, flags, bits, names, unit, aliases, doc)
 *   twin   BOTH: the packet inside of a tunnel has the same field as inner.NAME; ONE: it has not
 *   id     column.c fills it in fill_ID()
 *   flags  of struct weir_field; D and A are short for WEIR_FIELD_DEFAULT and _ALWAYS, see packet.c
 *   bits   WEIR_U64: the width on the wire; grouping keys are packed by it
 *
 * The order is that of the schema; the fields shown by default come first, in the order in which
 * they are shown. Aliases are IPFIX information elements (RFC 7012) that mean the same.
 */
#ifndef PROTO_FIELDS_H
#define PROTO_FIELDS_H

#define PACKET_FIELDS(X)                                                                           \
	X(ONE, ts, "ts", TIME, D | A, 0, NULL, NULL, "observationTimeNanoseconds",                 \
	        "time of capture")                                                                 \
	X(BOTH, srcip, "srcip", IP, D, 0, NULL, NULL, "sourceIPv4Address sourceIPv6Address",       \
	        "source address of the outermost IP header")                                       \
	X(BOTH, srcport, "srcport", U64, D, 16, NULL, NULL,                                        \
	        "sourceTransportPort tcpSourcePort udpSourcePort",                                 \
	        "source port of TCP, UDP, SCTP, DCCP or UDP-Lite")                                 \
	X(BOTH, dstip, "dstip", IP, D, 0, NULL, NULL,                                              \
	        "destinationIPv4Address destinationIPv6Address",                                   \
	        "destination address of the outermost IP header")                                  \
	X(BOTH, dstport, "dstport", U64, D, 16, NULL, NULL,                                        \
	        "destinationTransportPort tcpDestinationPort udpDestinationPort",                  \
	        "destination port of TCP, UDP, SCTP, DCCP or UDP-Lite")                            \
	X(BOTH, ipprotocol, "ipprotocol", U64, D, 8, protocol_names, NULL, "protocolIdentifier",   \
	        "protocol above IP, behind all IPv6 extension headers")                            \
	X(ONE, len, "len", U64, D | A, 32, NULL, "bytes", NULL, "length of the frame on the wire") \
	X(ONE, caplen, "caplen", U64, A, 32, NULL, "bytes", NULL, "bytes captured of the frame")   \
	X(ONE, linktype, "linktype", U64, A, 16, linktype_names, NULL, NULL,                       \
	        "link type of the capture (tcpdump.org/linktypes.html)")                           \
	X(ONE, ifindex, "ifindex", U64, A, 32, NULL, NULL, NULL,                                   \
	        "number of the interface within the trace")                                        \
	X(ONE, srcmac, "srcmac", MAC, 0, 0, NULL, NULL, "sourceMacAddress",                        \
	        "link address of the sender (Ethernet, 802.11, Linux cooked)")                     \
	X(ONE, dstmac, "dstmac", MAC, 0, 0, NULL, NULL, "destinationMacAddress",                   \
	        "link address of the receiver (Ethernet, 802.11)")                                 \
	X(BOTH, ethertype, "ethertype", U64, 0, 16, ethertype_names, NULL, "ethernetType",         \
	        "EtherType of the payload behind all VLAN tags")                                   \
	X(BOTH, vlan, "vlan", U64, 0, 12, NULL, NULL, "vlanId dot1qVlanId",                        \
	        "id of the outermost VLAN tag")                                                    \
	X(BOTH, ipversion, "ipversion", U64, 0, 4, NULL, NULL, "ipVersion",                        \
	        "4 or 6, from the outermost IP header")                                            \
	X(BOTH, ttl, "ttl", U64, 0, 8, NULL, NULL, "ipTTL", "time to live, or IPv6 hop limit")     \
	X(BOTH, tos, "tos", U64, 0, 8, NULL, NULL, "ipClassOfService",                             \
	        "type of service, or IPv6 traffic class")                                          \
	X(BOTH, ipid, "ipid", U64, 0, 32, NULL, NULL, "fragmentIdentification",                    \
	        "IPv4 identification, or that of the IPv6 fragment header")                        \
	X(BOTH, fragment, "fragment", BOOL, 0, 0, NULL, NULL, NULL,                                \
	        "whether it is a fragment, the first or a later one")                              \
	X(BOTH, fragoffset, "fragoffset", U64, 0, 16, NULL, "bytes", NULL,                         \
	        "place of a fragment in the whole IP packet")                                      \
	X(BOTH, seq, "seq", U64, 0, 32, NULL, NULL, "tcpSequenceNumber", "TCP sequence number")    \
	X(BOTH, ack, "ack", U64, 0, 32, NULL, NULL, "tcpAcknowledgementNumber",                    \
	        "TCP acknowledgement number")                                                      \
	X(BOTH, flags, "flags", U64, 0, 12, NULL, NULL, "tcpControlBits",                          \
	        "TCP flags: fin 1, syn 2, rst 4, psh 8, ack 16, urg 32, ece 64, cwr 128")          \
	X(BOTH, fin, "flags.fin", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag FIN")                    \
	X(BOTH, syn, "flags.syn", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag SYN")                    \
	X(BOTH, rst, "flags.rst", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag RST")                    \
	X(BOTH, psh, "flags.psh", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag PSH")                    \
	X(BOTH, fack, "flags.ack", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag ACK")                   \
	X(BOTH, urg, "flags.urg", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag URG")                    \
	X(BOTH, ece, "flags.ece", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag ECE")                    \
	X(BOTH, cwr, "flags.cwr", BOOL, 0, 0, NULL, NULL, NULL, "TCP flag CWR")                    \
	X(BOTH, window, "window", U64, 0, 16, NULL, NULL, "tcpWindowSize",                         \
	        "TCP window as in the header, not scaled")                                         \
	X(BOTH, tcplen, "tcplen", U64, 0, 32, NULL, "bytes", NULL, "TCP payload on the wire")      \
	X(BOTH, udplen, "udplen", U64, 0, 16, NULL, "bytes", "udpMessageLength",                   \
	        "length in the UDP header, which counts its own 8 bytes")                          \
	X(BOTH, icmptype, "icmptype", U64, 0, 8, NULL, NULL, "icmpTypeIPv4 icmpTypeIPv6",          \
	        "ICMP or ICMPv6 type")                                                             \
	X(BOTH, icmpcode, "icmpcode", U64, 0, 8, NULL, NULL, "icmpCodeIPv4 icmpCodeIPv6",          \
	        "ICMP or ICMPv6 code")                                                             \
	X(BOTH, payload, "payload", BYTES, 0, 0, NULL, NULL, NULL,                                 \
	        "captured bytes above TCP, UDP or ICMP, else above IP; not there where empty")     \
	X(BOTH, flowid, "flowid", U64, 0, 64, NULL, NULL, NULL,                                    \
	        "hash of addresses, ports and protocol, the same in both directions and every "    \
	        "run")                                                                             \
	X(ONE, packet, "packet", BYTES, A | WEIR_FIELD_PACKET, 0, NULL, NULL, NULL,                \
	        "the captured bytes")

/* Expands to BOTH's rows only; PACKET_FIELDS(X_INNER) calls INNER(id, …). */
#define X_INNER(twin, ...) X_INNER_##twin(__VA_ARGS__)
#define X_INNER_ONE(...)
#define X_INNER_BOTH(...) INNER(__VA_ARGS__)

/* Places in the schema. */
enum {
#define X(twin, id, ...) FIELD_##id,
	PACKET_FIELDS(X)
#undef X
#define INNER(id, ...) FIELD_INNER_##id,
	        PACKET_FIELDS(X_INNER)
#undef INNER
	                FIELDS
};

#endif
