/* SPDX-License-Identifier: MIT */
/* prefilter.c: what a kernel drops for a condition, no packet for which the condition holds is
 * among; asked of the kernel, which runs the programs on a socket, over drawn packets, whole, cut
 * and garbled. And programs that pass what ends early; their oracle is libpcap. */
#include "engine/core/pool.h"
#include "engine/expr/bind.h"
#include "engine/expr/pcap_text.h"
#include "engine/proto/column.h"
#include "sources/kernelbpf.h"
#include "tests/unit/mixed_packets.h"
#include "tests/unit/one_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PACKETS 64 /* at once */
#define ROUNDS 40

static const struct weir_batch_ops ops = {.fill = weir_packet_fill};
static struct weir_packets ps;
static uint8_t frame[PACKETS][128];
static int end[2];

static int setup(void **state)
{
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, end) < 0)
		return -1;
	return one_schema(weir_packet_schema(6));
}

static void attach(const struct kernelbpf *p)
{
	const struct sock_fprog *program = kernelbpf_program(p);

	assert_int_equal(
	        setsockopt(end[1], SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof *program), 0);
}

/* What the kernel makes of it. */
static bool passes(const struct weir_packet *pk)
{
	uint8_t back[sizeof *frame];
	ssize_t n;

	assert_int_equal(send(end[0], pk->data, pk->caplen, 0), pk->caplen);
	n = recv(end[1], back, sizeof back, MSG_DONTWAIT);
	assert_true(n < 0 || (uint32_t)n == pk->caplen);
	return n >= 0;
}

/* From where `linktype` begins, whole as far as anybody can tell. */
static void draw(struct weir_packet *pk, uint8_t *p, uint16_t linktype)
{
	uint32_t len = mixed_packet(p, rnd(2)), from = linktype == 1 ? 0 : 14;

	if (rnd(6) == 0)
		p[14] = (uint8_t)(0x40 + rnd(16)); /* with options, or too short a header */
	if (rnd(8) == 0)
		put16(p + 20, rnd(0x10000)); /* a fragment */
	for (uint32_t i = rnd(4) ? 0 : rnd(4); i; i--)
		p[12 + rnd(60)] = (uint8_t)rnd(256);
	if (rnd(3) == 0)
		len = from + 1 + rnd(len - from);
	*pk = (struct weir_packet){
	        .data = p + from, .caplen = len - from, .len = len - from, .linktype = linktype};
}

static struct weir_batch *drawn(uint16_t linktype)
{
	struct weir_batch *b = pool_batch(pool, schema, PACKETS);

	assert_non_null(b);
	ps.decoded = NULL;
	b->ops = &ops;
	b->priv = &ps;
	for (uint32_t i = 0; i < PACKETS; i++)
		draw(&ps.pk[i], frame[i], linktype);
	return b;
}

static struct weir_expr *bound(const char *condition, struct arena *a)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct ast_spec *ast;
	struct weir_expr *e = NULL;
	char spec[16384];
	int len = snprintf(spec, sizeof spec, "x | where %s", condition);

	assert_int_equal(lang_parse(spec, (size_t)len, a, &ast, &err), 0);
	assert_int_equal(expr_bind(ast->queries[0]->first->next->where, schema, WEIR_BOOL, a, NULL,
	                         NULL, &e, &err),
	        0);
	return e;
}

static bool text_of(const struct weir_expr *e, struct text *to)
{
	return pcap_text(&e, 1, schema, to);
}

/* `most`: of a thousand packets so many may pass; 1000: it is not told of. */
static const struct row {
	const char *condition;
	uint32_t most;
} rows[] = {
        {"ipprotocol = 17", 650},
        {"ipprotocol in (1, 47)", 600},
        {"srcip = 10.0.0.9", 500},
        {"srcip in 10.0.2.0/23", 600},
        {"srcip = 2000::4 or dstip = 2000::4", 600},
        {"srcip in (10.0.1.0/24, 10.0.4.0/22, 2000::/120)", 700},
        {"dstip in 2000::/16", 600},
        {"srcport = 5", 600},
        {"srcport = 5 or dstport = 5", 650},
        {"dstport in (1, 7, 9, 11, 13, 2000)", 700},
        {"srcport >= 50", 700},
        {"srcport > 10 and srcport <= 12", 600},
        {"flags.syn and not flags.ack", 700},
        {"flags.syn = true and ttl < 7", 700},
        {"flags.syn = false", 1000},
        {"flags.syn or srcip = 10.0.0.9", 750},
        {"srcip = 10.0.0.9 or flags.ack or dstport = 3", 900},
        {"len > 60", 900},
        {"len <= 40 and ipprotocol = 6", 700},
        {"ttl < 4", 800},
        {"ttl < 4 or icmptype = 3", 850},
        {"(srcport = 1 and dstport = 2) or (srcport = 2 and dstport = 1)", 600},
        {"srcip in 10.0.0.0/8 and (dstport = 3 or ipprotocol = 17) and caplen > 3", 700},
        {"ipprotocol != 6", 1000},
        {"not srcport = 5", 1000},
        {"srcport = dstport", 1000},
        {"srcport = 5 or payload ~ 'x'", 1000},
        {"srcport", 1000},
        {"vlan = 3", 1000},
        {"inner.srcip = 10.0.0.1", 1000},
        {"srcport + 1 = 5", 1000},
};

static void conditions_lose_no_packet(void **state)
{
	static const uint16_t linktypes[] = {1, 101};

	for (size_t k = 0; k < 2 * sizeof rows / sizeof *rows; k++) {
		const struct row *row = &rows[k / 2];
		struct arena a;
		struct text text = TEXT_INIT;
		struct weir_expr *e;
		struct kernelbpf *p;
		uint32_t passed = 0;
		uint16_t found[PACKETS];
		char why[256] = "";
		bool some;

		arena_init(&a, NULL);
		e = bound(row->condition, &a);
		some = text_of(e, &text);
		if (some != (row->most < 1000))
			fail_msg("%s: %s", row->condition, some ? text.p : "no text");
		for (int round = 0; some && round < ROUNDS; round++) {
			struct weir_batch *b = drawn(linktypes[k % 2]);
			bool met[PACKETS] = {false};
			int n = weir_expr_select(e, b, found);

			assert_true(n >= 0);
			for (int i = 0; i < n; i++)
				met[found[i]] = true;
			if (round == 0) {
				if (kernelbpf_new(text.p, linktypes[k % 2], 65536, &p, why,
				            sizeof why) < 0)
					fail_msg("%s: %s: %s", row->condition, text.p, why);
				attach(p);
				kernelbpf_free(p);
			}
			for (uint32_t i = 0; i < PACKETS; i++) {
				bool through = passes(&ps.pk[i]);

				passed += through;
				if (met[i] && !through)
					fail_msg("%s: packet %u of round %d is lost by %s",
					        row->condition, i, round, text.p);
			}
			weir_batch_unref(b);
		}
		if (passed > row->most * PACKETS * ROUNDS / 1000)
			fail_msg("%s: %u of %d pass", row->condition, passed, PACKETS * ROUNDS);
		text_release(&text);
		expr_release(e);
		arena_release(&a);
	}
}

static void texts_are_read_by_people(void **state)
{
	struct text text = TEXT_INIT;
	struct arena a;

	arena_init(&a, NULL);
	assert_true(text_of(bound("srcip in 10.0.0.0/8 and dstport = 53", &a), &text));
	assert_string_equal(text.p, "(not ip and not ip6) or (ip and (ip[0] != 69 or "
	                            "(src net 10.0.0.0/8 and ip[22:2] = 53))) or "
	                            "(ip6 and ((ip6[6] != 6 and ip6[6] != 17 and ip6[6] != 58)))");
	text_release(&text);
	arena_release(&a);
}

static void a_long_condition_lets_everything_pass(void **state)
{
	struct text condition = TEXT_INIT, text = TEXT_INIT;
	struct arena a;

	arena_init(&a, NULL);
	for (uint32_t i = 0; i < 200; i++)
		text_printf(&condition, "%s(srcport = %u and dstport < %u)", i ? " or " : "", i, i);
	assert_false(text_of(bound(condition.p, &a), &text));
	assert_true(text.len == 0);
	text_release(&condition);
	text_release(&text);
	arena_release(&a);
}

/* Each of two expressions alone, by libpcap, and the kernel with either. */
static void check_either(const char *one, const char *other)
{
	struct kernelbpf *p[3];
	struct text text = TEXT_INIT;
	const char *t[3] = {one, other, NULL};
	char why[256] = "";
	uint32_t dropped = 0;

	text_printf(&text, "(%s) or (%s)", one, other);
	t[2] = text.p;
	for (int i = 0; i < 3; i++)
		if (kernelbpf_new(t[i], 1, 65536, &p[i], why, sizeof why) < 0)
			fail_msg("%.200s: %s", t[i], why);
	attach(p[2]);
	for (int round = 0; round < ROUNDS; round++) {
		weir_batch_unref(drawn(1));
		for (uint32_t i = 0; i < PACKETS; i++) {
			const struct weir_packet *pk = &ps.pk[i];
			bool through = passes(pk), whole = kernelbpf_is_exact(p[2], pk->len);

			dropped += !through;
			for (int k = 0; k < 2; k++)
				if (kernelbpf_passes(p[k], pk->data, pk->len, pk->caplen) &&
				        !through)
					fail_msg("%s: packet %u of round %d is lost", t[k], i,
					        round);
			if (whole &&
			        through != kernelbpf_passes(p[2], pk->data, pk->len, pk->caplen))
				fail_msg("%s: packet %u of round %d: not exact", text.p, i, round);
		}
	}
	assert_true(dropped > PACKETS * ROUNDS / 50);
	for (int i = 0; i < 3; i++)
		kernelbpf_free(p[i]);
	text_release(&text);
}

static void packets_that_end_early_pass(void **state)
{
	struct text hosts = TEXT_INIT;

	check_either("tcp[13] & 2 != 0", "src net 10.0.0.0/24");
	check_either("tcp[tcp[12] >> 2] = 5", "src net 10.0.0.0/24");
	check_either("ether[ip6[4:2] + 60] = 5", "src net 10.0.0.0/24");
	check_either("udp port 5", "ether[60] = 7");
	check_either("ip[4294967295] = 1", "ip6");
	/* so many that branches go far */
	for (uint32_t i = 0; i < 120; i++)
		text_printf(&hosts, "%s(ip[%u] = %u and src host 10.0.0.%u)", i ? " or " : "",
		        20 + i % 16, i, i % 250);
	check_either(hosts.p, "udp port 5");
	text_release(&hosts);
}

static void what_is_too_long_is_refused(void **state)
{
	struct text hosts = TEXT_INIT;
	struct kernelbpf *p = NULL;
	char why[256] = "";

	for (uint32_t i = 0; i < 1200; i++)
		text_printf(&hosts, "%s(ip[%u] = %u and ip[%u] = 3)", i ? " or " : "", i, i % 250,
		        3000 - i);
	assert_true(kernelbpf_new(hosts.p, 1, 65536, &p, why, sizeof why) < 0);
	assert_non_null(strstr(why, "longer than 4096 instructions"));
	text_release(&hosts);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(conditions_lose_no_packet),
	        cmocka_unit_test(texts_are_read_by_people),
	        cmocka_unit_test(a_long_condition_lets_everything_pass),
	        cmocka_unit_test(packets_that_end_early_pass),
	        cmocka_unit_test(what_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
