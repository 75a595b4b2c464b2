/* SPDX-License-Identifier: MIT */
/* decode_frames.h: frames of what captures seldom hold, in hex, for decode_tshark.c. */
#ifndef DECODE_FRAMES_H
#define DECODE_FRAMES_H

#include <stdint.h>

#define TCP "04d20050000000010000000250120fff00000000"
#define UDP                                                                                        \
	"003500350"                                                                                \
	"00c000061626364"
#define IP4(total, protocol) "4500" total "0001000040" protocol "00000a0000010a000002"
#define IP6(payload, next)                                                                         \
	"60000000" payload next "40"                                                               \
	"20010db8000000000000000000000001"                                                         \
	"20010db8000000000000000000000002"
#define TCP4 IP4("0028", "06") TCP /* 40 bytes */
#define UDP6 IP6("000c", "11") UDP /* 52 bytes */
#define MACS "020000000001020000000002"
#define ETH(type) MACS type
#define LLC "aaaa03000000"
/* 24 bytes of 802.11: control, duration, three addresses, sequence */
#define WLAN(control)                                                                              \
	control "0000020000000001020000000002020000000003"                                         \
	        "0000"
#define ZEROS_24 "000000000000000000000000000000000000000000000000"
/* 144 bytes: code, length, device, ten values of 12 bytes */
#define PRISM                                                                                      \
	"44000000"                                                                                 \
	"90000000"                                                                                 \
	"776c616e300000000000000000000000" ZEROS_24 ZEROS_24 ZEROS_24 ZEROS_24 ZEROS_24

static const struct frame {
	const char *name;
	uint16_t linktype;
	const char *hex;
} frames[] = {
        {"null-le", 0, "02000000" TCP4},
        {"null-be", 0, "00000002" TCP4},
        {"null-freebsd-ip6", 0, "1c000000" UDP6},
        {"null-darwin-ip6", 0, "1e000000" UDP6},
        {"null-netbsd-ip6", 0, "18000000" UDP6},
        {"loop", 108, "00000002" TCP4},
        {"loop-ip6", 108, "00000018" UDP6},
        {"ppp", 9, "ff030021" TCP4},
        {"ppp-short", 9, "0021" TCP4},
        {"ppp-compressed", 9, "21" TCP4},
        {"ppp-ip6", 9, "ff030057" UDP6},
        {"ppp-mpls", 9,
                "ff030281"
                "0001003f"
                "0001113f" TCP4},
        {"ppp-hdlc", 50, "ff030021" TCP4},
        {"ppp-hdlc-cisco", 50, "0f000800" TCP4},
        {"ppp-pppd", 166, "00030021" TCP4},
        {"ppp-pppd-out", 166, "01030057" UDP6},
        {"ppp-dir", 204, "00ff030021" TCP4},
        {"ppp-dir-out", 204, "01ff030057" UDP6},
        {"chdlc", 104, "0f000800" TCP4},
        {"chdlc-ip6", 104, "8f0086dd" UDP6},
        {"raw", 101, TCP4},
        {"raw-ip6", 101, UDP6},
        {"raw-ipv4", 228, TCP4},
        {"raw-ipv6", 229, UDP6},
        {"sll", 113,
                "000000010006020000000001"
                "0000"
                "0800" TCP4},
        {"sll-vlan", 113,
                "000000010006020000000001"
                "0000"
                "8100"
                "00050800" TCP4},
        {"sll2", 276,
                "0800"
                "0000"
                "00000002"
                "0001"
                "00"
                "06"
                "0200000000010000" TCP4},
        {"sll2-ip6", 276,
                "86dd"
                "0000"
                "00000002"
                "0001"
                "04"
                "06"
                "0200000000010000" UDP6},
        {"pppoe-frame", 51,
                "1100"
                "0001"
                "002a"
                "0021" TCP4},
        {"vlan", 1, ETH("8100") "00640800" TCP4},
        {"vlan-priority-ip6", 1, ETH("8100") "e06486dd" UDP6},
        {"qinq", 1,
                ETH("88a8") "00c88100"
                            "00640800" TCP4},
        {"qinq-old", 1,
                ETH("8100") "00c88100"
                            "006486dd" UDP6},
        {"vlan-three", 1,
                ETH("8100") "00018100"
                            "00028100"
                            "00030800" TCP4},
        {"vlan-9100", 1,
                ETH("9100") "00c88100"
                            "00640800" TCP4},
        {"vlan-llc", 1, ETH("8100") "00640030" LLC "0800" TCP4},
        {"mpls", 1,
                ETH("8847") "0001003f"
                            "0001113f" TCP4},
        {"mpls-ip6", 1, ETH("8847") "0001013f" UDP6},
        {"mpls-vlan", 1,
                ETH("8100") "00078847"
                            "0001013f" TCP4},
        {"pppoe", 1,
                ETH("8864") "1100"
                            "0001"
                            "002a"
                            "0021" TCP4 "00000000"},
        {"pppoe-ip6", 1,
                ETH("8864") "1100"
                            "0001"
                            "0036"
                            "0057" UDP6},
        {"pppoe-discovery", 1,
                ETH("8863") "1109"
                            "0000"
                            "0004"
                            "01010000"},
        {"snap", 1, ETH("0030") LLC "0800" TCP4 "000000"},
        {"snap-ip6", 1, ETH("003c") LLC "86dd" UDP6},
        {"llc-ip", 1, ETH("002b") "060603" TCP4},
        {"novell", 1, ETH("0030") "ffff00300000" TCP4},
        {"padding", 1, ETH("0800") TCP4 "000000000000"},
        {"options", 1,
                ETH("0800") "4700003000010000"
                            "40060000"
                            "0a0000010a000002"
                            "0101010101010100" TCP},
        {"offload", 1, ETH("0800") IP4("0000", "06") TCP "6162"},
        {"ip-length-short", 1, ETH("0800") IP4("0010", "06") TCP},
        {"ip-length-long", 1, ETH("0800") IP4("0128", "06") TCP "6162"},
        {"ip-header-short", 1,
                ETH("0800") "44000028000100004006"
                            "00000a0000010a000002" TCP},
        {"fragment-first", 1,
                ETH("0800") "4500002800012000"
                            "40060000"
                            "0a0000010a000002" TCP},
        {"fragment-later", 1,
                ETH("0800") "4500002800010003"
                            "40060000"
                            "0a0000010a000002" TCP},
        {"dont-fragment", 1,
                ETH("0800") "4500002800014000"
                            "40060000"
                            "0a0000010a000002" TCP},
        {"icmp", 1, ETH("0800") IP4("001c", "01") "0800f7ff00000000"},
        {"icmp-error", 1, ETH("0800") IP4("0044", "01") "0301000000000000" TCP4},
        {"sctp", 1,
                ETH("0800") IP4("0020", "84") "04d2005000000001"
                                              "00000000"},
        {"igmp", 1, ETH("0800") IP4("001c", "02") "1164ee9b00000000"},
        {"esp", 1, ETH("0800") IP4("0024", "32") "00000001000000020000000000000000"},
        {"ip6-hop", 1, ETH("86dd") IP6("0014", "00") "1100010400000000" UDP},
        {"ip6-all", 1,
                ETH("86dd") IP6("0034", "00") "3c00010400000000"
                                              "2b00010400000000"
                                              "3300000000000000"
                                              "11020000000000010000000100000000" UDP},
        {"ip6-fragment-first", 1, ETH("86dd") IP6("0014", "2c") "1100000100000007" UDP},
        {"ip6-fragment-later", 1, ETH("86dd") IP6("0014", "2c") "1100000900000007" UDP},
        {"ip6-fragment-atomic", 1, ETH("86dd") IP6("0014", "2c") "1100000000000007" UDP},
        {"ip6-esp", 1, ETH("86dd") IP6("0010", "32") "00000001000000020000000000000000"},
        {"ip6-none", 1, ETH("86dd") IP6("0000", "3b")},
        {"ip6-icmp", 1, ETH("86dd") IP6("0008", "3a") "80007bb500000000"},
        {"ip6-icmp-vlan", 1, ETH("8100") "000186dd" IP6("0008", "3a") "80007bb500000000"},
        {"ip6-tcp", 1, ETH("86dd") IP6("0014", "06") TCP},
        {"ip6-padding", 1, ETH("86dd") IP6("0014", "06") TCP "6162"},
        {"ipip", 1, ETH("0800") IP4("003c", "04") TCP4},
        {"6in4", 1, ETH("0800") IP4("0048", "29") UDP6},
        {"4in6", 1, ETH("86dd") IP6("0028", "04") TCP4},
        {"6in6", 1, ETH("86dd") IP6("0034", "29") UDP6},
        {"gre", 1, ETH("0800") IP4("0040", "2f") "00000800" TCP4},
        {"gre-key", 1,
                ETH("0800") IP4("0044", "2f") "20000800"
                                              "00000007" TCP4},
        {"gre-all", 1,
                ETH("0800") IP4("004c", "2f") "b0000800"
                                              "00000000"
                                              "00000007"
                                              "00000001" TCP4},
        {"gre-ip6", 1, ETH("0800") IP4("004c", "2f") "000086dd" UDP6},
        {"gre-bridge", 1, ETH("0800") IP4("004e", "2f") "00006558" ETH("0800") TCP4},
        {"gre-bridge-vlan", 1,
                ETH("0800") IP4("0052", "2f") "00006558" ETH("8100") "00090800" TCP4},
        {"gre-mpls", 1,
                ETH("0800") IP4("0044", "2f") "00008847"
                                              "0001013f" TCP4},
        {"gre-pptp", 1,
                ETH("0800") IP4("0050", "2f") "3081880b"
                                              "002c0001"
                                              "00000001"
                                              "00000001"
                                              "ff030021" TCP4},
        {"gre-over-ip6", 1, ETH("86dd") IP6("002c", "2f") "00000800" TCP4},
        {"ipip-twice", 1, ETH("0800") IP4("0050", "04") IP4("003c", "04") TCP4},
        {"wlan", 105, WLAN("0800") LLC "0800" TCP4},
        {"wlan-to-ds", 105, WLAN("0801") LLC "0800" TCP4},
        {"wlan-from-ds", 105, WLAN("0802") LLC "86dd" UDP6},
        {"wlan-four", 105, WLAN("0803") "020000000004" LLC "0800" TCP4},
        {"wlan-qos", 105, WLAN("8801") "0000" LLC "0800" TCP4},
        {"wlan-qos-four", 105,
                WLAN("8803") "020000000004"
                             "0000" LLC "0800" TCP4},
        {"wlan-qos-ht", 105,
                WLAN("8881") "0000"
                             "00000000" LLC "0800" TCP4},
        {"wlan-encrypted", 105, WLAN("0841") "0000000000000000" LLC "0800" TCP4},
        {"wlan-null", 105, WLAN("4801")},
        {"wlan-beacon", 105, WLAN("8000") "000000000000000064000100"},
        {"wlan-ack", 105, "d4000000020000000001"},
        {"radiotap", 127, "0000080000000000" WLAN("0801") LLC "0800" TCP4},
        {"radiotap-padded", 127,
                "0000090002000000"
                "20" WLAN("8801") "0000"
                                  "0000" LLC "0800" TCP4},
        {"radiotap-tsft", 127,
                "0000120003000000"
                "0000000000000000"
                "2000" WLAN("8801") "0000"
                                    "0000" LLC "0800" TCP4},
        {"radiotap-two", 127,
                "00000d0002000080"
                "00000000"
                "20" WLAN("8801") "0000"
                                  "0000" LLC "0800" TCP4},
        {"prism", 119, PRISM WLAN("0801") LLC "0800" TCP4},
        {"avs", 163,
                "8021100100000040"
                "0000000000000000"
                "0000000000000000"
                "0000000400000000"
                "0000000000000000"
                "0000000000000000"
                "0000000000000000"
                "0000000000000000" WLAN("0801") LLC "0800" TCP4},
        {"arp", 1,
                ETH("0806") "0001080006040001"
                            "0200000000010a000001"
                            "0000000000000a000002"},
        {"empty", 1, ""},
};

#endif
