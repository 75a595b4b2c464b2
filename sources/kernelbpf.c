/* SPDX-License-Identifier: MIT */
/* kernelbpf.c: see kernelbpf.h. libpcap is loaded when the first expression comes. */
#include "sources/kernelbpf.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/late.h>

#define FUNCTIONS(X)                                                                               \
	X(pcap_open_dead)                                                                          \
	X(pcap_compile)                                                                            \
	X(pcap_geterr)                                                                             \
	X(pcap_close)                                                                              \
	X(pcap_freecode)                                                                           \
	X(bpf_filter)
WEIR_LATE(lib, PCAP_SONAME, FUNCTIONS)

struct kernelbpf {
	struct bpf_program whole; /* as libpcap compiled it; bf_insns NULL: everything passes */
	struct sock_fprog program;
	struct sock_filter code[];
};

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one machine");

/* If there is a tag: pass. */
static const struct sock_filter tagged[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
};

#define TAGGED (sizeof tagged / sizeof *tagged)

static struct kernelbpf *make(size_t n)
{
	struct kernelbpf *p = calloc(1, sizeof *p + n * sizeof *p->code);

	if (p)
		p->program = (struct sock_fprog){.len = (unsigned short)n, .filter = p->code};
	return p;
}

struct kernelbpf *kernelbpf_nothing(void)
{
	struct kernelbpf *p = make(1);

	if (p)
		p->code[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	return p;
}

static int compile(const char *text, uint16_t linktype, uint32_t snaplen, struct bpf_program *ret,
        char *why, size_t size)
{
	pcap_t *p;
	int r = 0;

	if (weir_late_load(&lib_library) < 0) {
		snprintf(why, size, "%s", lib_library.missing);
		return -EINVAL;
	}
	p = lib.pcap_open_dead(linktype == 101 ? DLT_RAW : linktype, (int)snaplen);
	if (!p)
		return -ENOMEM;
	if (lib.pcap_compile(p, ret, text, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		snprintf(why, size, "%s", lib.pcap_geterr(p));
		r = -EINVAL;
	}
	lib.pcap_close(p);
	return r;
}

int kernelbpf_new(const char *text, uint16_t linktype, uint32_t snaplen, struct kernelbpf **ret,
        char *why, size_t size)
{
	struct bpf_program whole = {0};
	struct kernelbpf *p;

	if (!text) {
		p = make(1);
		if (!p)
			return -ENOMEM;
		p->code[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, snaplen);
	} else {
		int r = compile(text, linktype, snaplen, &whole, why, size);

		if (r < 0)
			return r;
		if (whole.bf_len + TAGGED > BPF_MAXINSNS) {
			lib.pcap_freecode(&whole);
			snprintf(why, size, "longer than %d instructions", BPF_MAXINSNS);
			return -EINVAL;
		}
		p = make(whole.bf_len + TAGGED);
		if (!p) {
			lib.pcap_freecode(&whole);
			return -ENOMEM;
		}
		memcpy(p->code, tagged, sizeof tagged);
		p->code[TAGGED - 1].k = snaplen;
		memcpy(p->code + TAGGED, whole.bf_insns, whole.bf_len * sizeof *p->code);
		p->whole = whole;
	}
	*ret = p;
	return 0;
}

void kernelbpf_free(struct kernelbpf *p)
{
	if (!p)
		return;
	if (p->whole.bf_insns)
		lib.pcap_freecode(&p->whole);
	free(p);
}

const struct sock_fprog *kernelbpf_program(const struct kernelbpf *p)
{
	return &p->program;
}

bool kernelbpf_passes(
        const struct kernelbpf *p, const uint8_t *packet, uint32_t len, uint32_t caplen)
{
	return !p->whole.bf_insns || lib.bpf_filter(p->whole.bf_insns, packet, len, caplen) != 0;
}
