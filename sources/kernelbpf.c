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
	uint32_t exact;           /* so long a packet has all bytes that it may look at */
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

/* ---- packets that end early ---- */

#define HEADER_MAX 60 /* that BPF_MSH gives: four times four bits */

static bool is_load(const struct bpf_insn *i, unsigned mode)
{
	return BPF_CLASS(i->code) == BPF_LD && BPF_MODE(i->code) == mode;
}

static bool is_branch(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_JMP && BPF_OP(i->code) != BPF_JA;
}

/* Instructions in front of it, and in its place. `far`: branches are followed by two jumps. */
static uint32_t before(const struct bpf_insn *i)
{
	return is_load(i, BPF_ABS) ? 3 : is_load(i, BPF_IND) ? 5 : 0;
}

static uint32_t places(const struct bpf_insn *i, bool far)
{
	return before(i) + (far && is_branch(i) ? 3 : 1);
}

/* The packet's length that it takes: from X on where it is relative. */
static uint32_t reach(const struct bpf_insn *i)
{
	uint32_t n = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;

	return i->k > UINT32_MAX - n ? UINT32_MAX : i->k + n;
}

/* Before A is loaded: pass, unless the packet goes that far. */
static struct sock_filter *check(struct sock_filter *to, const struct bpf_insn *i, uint32_t snaplen)
{
	*to++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0);
	if (is_load(i, BPF_IND)) {
		*to++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0);
		*to++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, INT32_MAX, 1, 0);
	}
	*to++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, reach(i), 1, 0);
	*to++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, snaplen);
	return to;
}

/* The instruction, which stands at `at` now. False: a branch does not go that far. */
static bool move(struct sock_filter *to, const struct bpf_insn *insn, uint32_t i,
        const uint32_t *place, uint32_t at, bool far)
{
	uint32_t yes = place[i + 1 + insn[i].jt] - at - 1, no = place[i + 1 + insn[i].jf] - at - 1;

	*to = (struct sock_filter){.code = insn[i].code, .k = insn[i].k};
	if (BPF_CLASS(insn[i].code) != BPF_JMP)
		return true;
	if (!is_branch(&insn[i])) {
		to->k = place[i + 1 + insn[i].k] - at - 1;
		return true;
	}
	if (far) {
		to->jf = 1;
		to[1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, yes - 1);
		to[2] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, no - 2);
		return true;
	}
	to->jt = (uint8_t)yes;
	to->jf = (uint8_t)no;
	return yes <= UINT8_MAX && no <= UINT8_MAX;
}

/* So many bytes a packet needs at most for all that the program looks at. */
static uint32_t most_reach(const struct bpf_program *p)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < p->bf_len; i++) {
		const struct bpf_insn *insn = &p->bf_insns[i];
		uint32_t n = 0;

		if (is_load(insn, BPF_ABS))
			n = reach(insn);
		else if (is_load(insn, BPF_IND))
			n = reach(insn) > UINT32_MAX - HEADER_MAX ? UINT32_MAX
			                                          : reach(insn) + HEADER_MAX;
		else if (BPF_CLASS(insn->code) == BPF_LDX && BPF_MODE(insn->code) == BPF_MSH)
			n = insn->k + 1;
		else if (BPF_CLASS(insn->code) == BPF_LDX || insn->code == (BPF_MISC | BPF_TAX))
			n = UINT32_MAX; /* X may be anything */
		most = n > most ? n : most;
	}
	return most;
}

/* The program for the kernel; *ret NULL: out of memory. False: too long. */
static bool transform(
        const struct bpf_program *whole, uint32_t snaplen, bool far, struct kernelbpf **ret)
{
	const struct bpf_insn *insn = whole->bf_insns;
	uint32_t *place = malloc((whole->bf_len + 1) * sizeof *place), at = TAGGED + 3;
	struct kernelbpf *p = NULL;
	bool fits = true;

	*ret = NULL;
	for (uint32_t i = 0; place && i < whole->bf_len; i++) {
		place[i] = at;
		at += places(&insn[i], far);
	}
	fits = at <= BPF_MAXINSNS;
	if (place && fits)
		p = make(at);
	if (p) {
		struct bpf_insn most = {0};

		memcpy(p->code, tagged, sizeof tagged);
		p->code[TAGGED - 1].k = snaplen;
		for (uint32_t i = 0; i < whole->bf_len && fits; i++) {
			struct sock_filter *to = &p->code[place[i]];

			if (before(&insn[i]))
				to = check(to, &insn[i], snaplen);
			if (BPF_CLASS(insn[i].code) == BPF_LDX &&
			        BPF_MODE(insn[i].code) == BPF_MSH && insn[i].k > most.k)
				most.k = insn[i].k;
			fits = move(to, insn, i, place, (uint32_t)(to - p->code), far);
		}
		/* A may be in use where a header's length is loaded: so this at the beginning */
		most.code = BPF_LD | BPF_ABS | BPF_B;
		check(p->code + TAGGED, &most, snaplen);
	}
	free(place);
	if (p && !fits) {
		free(p);
		p = NULL;
	}
	*ret = p;
	return fits;
}

int kernelbpf_new(const char *text, uint16_t linktype, uint32_t snaplen, struct kernelbpf **ret,
        char *why, size_t size)
{
	struct bpf_program whole = {0};
	struct kernelbpf *p;
	int r;

	if (!text) {
		p = make(1);
		if (!p)
			return -ENOMEM;
		p->code[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, snaplen);
		*ret = p;
		return 0;
	}
	r = compile(text, linktype, snaplen, &whole, why, size);
	if (r < 0)
		return r;
	if (!transform(&whole, snaplen, false, &p) && !transform(&whole, snaplen, true, &p)) {
		lib.pcap_freecode(&whole);
		snprintf(why, size, "longer than %d instructions", BPF_MAXINSNS);
		return -EINVAL;
	}
	if (!p) {
		lib.pcap_freecode(&whole);
		return -ENOMEM;
	}
	p->whole = whole;
	p->exact = most_reach(&whole);
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

bool kernelbpf_is_exact(const struct kernelbpf *p, uint32_t len)
{
	return len >= p->exact;
}
