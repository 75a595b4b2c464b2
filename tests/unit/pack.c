// SPDX-License-Identifier: MIT
/* pack.c: keys that packets give themselves are those made from their columns: for frames of all
 * sorts, cut everywhere, and with random octets changed; and the ways to shuffle
 * them, and to see what is plain, agree. */
#include "engine/proto/pack_plain.h"
#include "engine/proto/plain.h"
#include "tests/pack_check.h"
#include "tests/unit/decode_frames.h"
#include "tests/unit/rnd.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The first `len` octets of a frame on the heap, so that ASan sees a read behind them. */
static const uint8_t *cut(const char *hex, uint32_t len)
{
	uint8_t *p = malloc(len + !len);

	for (uint32_t i = 0; i < len; i++) {
		unsigned octet;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
		p[i] = (uint8_t)octet;
	}
	for (uint32_t i = rnd(3); len && i; i--)
		p[rnd(len)] = (uint8_t)rnd(256);
	return p;
}

static const struct frame *pick(bool ip4)
{
	const struct frame *f;

	do
		f = &frames[rnd(sizeof frames / sizeof *frames)];
	while (ip4 && (strlen(f->hex) < 30 || strncmp(f->hex + 24, "080045", 6) != 0));
	return f;
}

static void packed_is_packed_from_columns(void **state)
{
	static struct weir_packets ps;
	struct weir_schema *schema = weir_packet_schema(6);
	struct weir_pool *pool = pool_new(NULL);

	for (int round = 0; round < 400; round++) {
		uint32_t n = 1 + rnd(WEIR_PACK_ROWS);

		for (uint32_t k = 0; k < n; k++) {
			const struct frame *f = pick(false);
			uint32_t whole = (uint32_t)strlen(f->hex) / 2,
			         len = rnd(2) ? whole : rnd(whole + 1);

			ps.pk[k] = (struct weir_packet){.data = cut(f->hex, len),
			        .caplen = len,
			        .len = whole,
			        .linktype = f->linktype};
		}
		pack_check(&ps, n, pool, schema, false);
		pack_check(&ps, n, pool, schema, true);
		for (uint32_t k = 0; k < n; k++)
			free((void *)ps.pk[k].data);
	}
	pool_unref(pool);
	weir_schema_unref(schema);
}

static void shuffles_agree(void **state)
{
	static struct layer d[WEIR_PACK_ROWS];
	static uint8_t one[WEIR_PACK_ROWS * 32], two[WEIR_PACK_ROWS * 32];
	uint16_t rows[WEIR_PACK_ROWS];

	for (int round = 0; round < 1000; round++) {
		struct pack_places p = {.size = 8 * (1 + rnd(4))};
		uint32_t n = rnd(WEIR_PACK_ROWS + 1);
		size_t stride = rnd(2) ? sizeof *d : LAYER_KEY;

		for (uint32_t i = 0; i < sizeof d; i++)
			((uint8_t *)d)[i] = (uint8_t)rnd(256);
		for (uint32_t j = 0; j < p.size; j++) {
			p.from[j] = rnd(2) ? (uint8_t)rnd(LAYER_KEY) : LAYER_NONE;
			p.rest[j] = p.from[j] == LAYER_NONE ? (uint8_t)rnd(256) : 0;
		}
		for (uint32_t k = 0; k < n; k++)
			rows[k] = (uint16_t)rnd(WEIR_PACK_ROWS);
		pack_layers_portable(&p, d, stride, rows, n, one);
		pack_layers_best()(&p, d, stride, rows, n, two);
		assert_memory_equal(one, two, (size_t)n * p.size);
		for (uint32_t k = 0; k < n; k++)
			for (uint32_t j = 0; j < p.size; j++)
				assert_int_equal(one[k * p.size + j],
				        p.rest[j] |
				                (p.from[j] == LAYER_NONE
				                                ? 0
				                                : ((uint8_t *)d)[rows[k] * stride +
				                                                 p.from[j]]));
	}
}

/* Frames of all sorts, cut and changed; every other time only of those that are IPv4 in Ethernet,
 * most of which are plain. */
static uint32_t draw_packets(struct weir_packet *pk, bool ip4)
{
	uint32_t n = 1 + rnd(WEIR_PACK_ROWS);

	for (uint32_t k = 0; k < n; k++) {
		const struct frame *f = pick(ip4);
		uint32_t whole = (uint32_t)strlen(f->hex) / 2,
		         len = rnd(2) ? whole : rnd(whole + 1);

		pk[k] = (struct weir_packet){.data = cut(f->hex, len),
		        .caplen = len,
		        .len = whole,
		        .linktype = f->linktype};
	}
	return n;
}

static void drop_packets(struct weir_packet *pk, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		free((void *)pk[k].data);
}

static void plain_layers_agree(void **state)
{
	static struct weir_packet pk[WEIR_PACK_ROWS];
	static struct layer one[WEIR_PACK_ROWS], two[WEIR_PACK_ROWS];
	uint16_t odd1[WEIR_PACK_ROWS + 1], odd2[WEIR_PACK_ROWS + 1];
	uint32_t all1, all2, any1, any2, seen = 0;

	for (int round = 0; round < 1000; round++) {
		uint32_t n = draw_packets(pk, round % 2), at = 0;
		uint32_t m = plain_layers_portable(pk, n, one, odd1, &all1, &any1);

		assert_int_equal(m, plain_layers_best()(pk, n, two, odd2, &all2, &any2));
		assert_int_equal(all1, all2);
		assert_int_equal(any1, any2);
		assert_memory_equal(odd1, odd2, m * sizeof *odd1);
		for (uint32_t k = 0; k < n; k++) {
			if (at < m && odd1[at] == k) {
				at++;
				continue;
			}
			assert_memory_equal(&one[k], &two[k], sizeof one[k]);
			seen++;
		}
		drop_packets(pk, n);
	}
	assert_in_range(seen, 1000, 1000 * WEIR_PACK_ROWS);
}

/* Both ways to pack plain packets give the same records, which are those of their layers. */
static void plain_records_agree(void **state)
{
	static const uint32_t haves[] = {L_SRC, L_SRC | L_DST, L_SRC | L_DST | L_DPORT,
	        L_SRC | L_DST | L_SPORT | L_DPORT | L_PROTO, L_PROTO | L_TCP | L_FULL4};
	static struct weir_packet pk[WEIR_PACK_ROWS];
	static uint8_t one[WEIR_PACK_ROWS * 32], two[WEIR_PACK_ROWS * 32], three[32];
	uint8_t odd1[WEIR_PACK_ROWS + 1], odd2[WEIR_PACK_ROWS + 1];
	uint16_t rows[WEIR_PACK_ROWS], zero = 0;
	uint32_t seen = 0;

	for (int round = 0; round < 1000; round++) {
		uint32_t n = draw_packets(pk, round % 2), have = haves[rnd(5)], at = 0, m;
		struct pack_places places = {.size = 8 * (1 + rnd(4))};
		struct pack_plain p;

		for (uint32_t j = 0; j < places.size; j++)
			places.from[j] = j < 8 && have & L_SRC ? (uint8_t)rnd(8) : LAYER_NONE;
		places.rest[9] = 7;
		p = pack_plain_of(&places, have, have & L_TCP ? 1 : -1);
		for (uint32_t k = 0; k < n; k++)
			rows[k] = (uint16_t)(n - 1 - k);
		m = pack_plain_portable(&p, pk, rows, n, one, odd1);
		assert_int_equal(m, pack_plain_best()(&p, pk, rows, n, two, odd2));
		assert_memory_equal(odd1, odd2, m);
		for (uint32_t k = 0; k < n; k++) {
			struct layer d;

			if (at < m && odd1[at] == k) {
				at++;
				continue;
			}
			assert_memory_equal(one + k * p.size, two + k * p.size, p.size);
			decode_one(&pk[rows[k]], &d);
			assert_int_equal(d.have & have, have);
			pack_layers_portable(&places, &d, sizeof d, &zero, 1, three);
			if (!(have & L_TCP))
				assert_memory_equal(one + k * p.size, three, p.size);
			seen++;
		}
		drop_packets(pk, n);
	}
	assert_in_range(seen, 1000, 1000 * WEIR_PACK_ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(packed_is_packed_from_columns),
	        cmocka_unit_test(shuffles_agree),
	        cmocka_unit_test(plain_layers_agree),
	        cmocka_unit_test(plain_records_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
