// SPDX-License-Identifier: MIT
/* compact.c: a compact form has the columns of the packets that it was made from, and packs their
 * keys: for frames of all sorts, cut everywhere and with random octets changed, few kinds and more
 * than a byte can count, all widths of times and lengths, and any rows selected. */
#include "engine/proto/compact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/keypack.h"
#include "engine/core/pool.h"
#include "engine/proto/fields.h"
#include "tests/unit/decode_frames.h"
#include "tests/unit/rnd.h"

static struct weir_packets ps;
static struct weir_schema *schema;
static struct weir_pool *pool;

static const uint8_t *frame(const struct frame *f, uint32_t len, bool changed)
{
	uint8_t *p = malloc(len + !len);

	for (uint32_t i = 0; i < len; i++) {
		unsigned octet;

		assert_int_equal(sscanf(f->hex + 2 * i, "%2x", &octet), 1);
		p[i] = (uint8_t)octet;
	}
	for (uint32_t i = changed ? rnd(3) : 0; len && i; i--)
		p[rnd(len)] = (uint8_t)rnd(256);
	return p;
}

/* `sorts`: how different they are. */
static void make_packets(uint32_t n, uint32_t sorts)
{
	uint32_t of = 1 + rnd(sizeof frames / sizeof *frames),
	         interfaces = 1 + sorts / 2 * rnd(900);
	int64_t step = (int64_t[]){0, 1000, 1000000, 1000000000, 1000000000000000}[rnd(5)];
	bool cut = rnd(2), jumbo = rnd(4) == 0;

	for (uint32_t k = 0; k < n; k++) {
		const struct frame *f = &frames[rnd(of)];
		uint32_t whole = (uint32_t)strlen(f->hex) / 2, len = whole;

		if (sorts > 0 && rnd(2))
			len = rnd(whole + 1);
		else if (cut && len > 60)
			len = 60;
		ps.pk[k] = (struct weir_packet){
		        .ts = 1600000000000000000 + (int64_t)k * step - (sorts ? rnd(2000) : 0),
		        .data = frame(f, len, sorts > 0),
		        .caplen = len,
		        .len = jumbo && rnd(2) ? 70000 + rnd(1000) : whole,
		        .linktype = f->linktype,
		        .ifindex = rnd(interfaces)};
	}
}

static void free_packets(uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		free((void *)ps.pk[k].data);
	ps.decoded = NULL;
}

/* Room that ends somewhere. */
struct room {
	void *piece[8];
	uint32_t n, most;
};

static void *room(void *arg, size_t size)
{
	struct room *r = arg;

	if (r->n == r->most)
		return NULL;
	return r->piece[r->n++] = malloc(size);
}

static void room_free(struct room *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		free(r->piece[i]);
}

static const struct weir_batch_ops packets = {.fill = weir_packet_fill, .pack = weir_packet_pack},
                                   compacts = {.fill = compact_fill, .pack = compact_pack};

static bool is_covered(uint32_t f)
{
	uint64_t needs[FIELDS / 64 + 1] = {0};

	needs[f / 64] |= 1ull << f % 64;
	return compact_covers(schema, needs);
}

static void same_column(struct weir_batch *want, struct weir_batch *got, uint32_t f)
{
	const struct weir_col *a = weir_batch_col(want, f), *b = weir_batch_col(got, f);
	size_t size = weir_kind_size(a->kind);

	assert_non_null(b);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->flags, b->flags);
	for (uint32_t k = 0; k < want->n; k++) {
		assert_int_equal(weir_col_has(a, k), weir_col_has(b, k));
		if (weir_col_has(a, k))
			assert_memory_equal((const char *)a->data + k * size,
			        (const char *)b->data + k * size, size);
	}
}

static const uint8_t *octets(const struct weir_packed *from, uint32_t place, uint32_t field)
{
	for (uint32_t i = 0; i < from->nip6; i++)
		if (from->ip6[i].place == place && from->ip6[i].field == field)
			return from->ip6[i].octets;
	return NULL;
}

static void same_keys(
        struct weir_batch *want, struct weir_batch *got, const char *const *names, unsigned flags)
{
	static uint8_t keys[2][WEIR_PACK_ROWS * WEIR_PACK_SIZE];
	static struct keypack_block block[2];
	struct weir_batch *b[2] = {want, got};
	uint32_t fields[WEIR_PACK_FIELDS], n = 0, m = 1 + rnd(WEIR_PACK_ROWS);
	uint16_t rows[2][WEIR_PACK_ROWS];
	struct keypack p;

	for (; names[n]; n++)
		fields[n] = (uint32_t)weir_schema_find(schema, names[n], strlen(names[n]));
	assert_int_equal(keypack_init(&p, NULL, schema, fields, n, flags), 0);
	for (uint32_t k = 0; k < m; k++)
		rows[0][k] = rows[1][k] = (uint16_t)rnd(want->n);
	memset(keys, 0, sizeof keys);
	for (int i = 0; i < 2; i++)
		assert_int_equal(keypack_pack(&p, b[i], rows[i], m, NULL, keys[i], &block[i]), 0);
	assert_int_equal(block[0].n, block[1].n);
	assert_memory_equal(rows[0], rows[1], block[0].n * sizeof *rows[0]);
	for (uint32_t k = 0; k < block[0].n; k++)
		for (uint32_t f = 0; f < n; f++) {
			const uint8_t *o[2] = {
			        octets(&block[0].from, k, f), octets(&block[1].from, k, f)};

			assert_int_equal(!o[0], !o[1]);
			if (!o[0])
				continue;
			assert_memory_equal(o[0], o[1], 16);
			for (int i = 0; i < 2; i++) /* these bytes are anything then */
				memset(keys[i] + k * p.size + p.f[f].at, 0, p.f[f].width);
		}
	assert_memory_equal(keys[0], keys[1], (size_t)block[0].n * p.size);
	keypack_release(&p);
}

static struct weir_batch *batch(uint32_t n, const struct weir_batch_ops *o, void *priv)
{
	struct weir_batch *b = pool_batch(pool, schema, n);

	b->ops = o;
	b->priv = priv;
	return b;
}

static void compact_form_is_that_of_its_packets(void **state)
{
	static const char *const sets[][8] = {
	        {"srcip"},
	        {"dstip", "srcip"},
	        {"srcip", "dstip", "dstport"},
	        {"srcip", "dstip", "srcport", "dstport", "ipprotocol"},
	        {"vlan", "ipprotocol"},
	        {"srcport", "srcip", "len"},
	        {"ipprotocol", "dstport"},
	        {"ts", "flags"},
	        {"srcip", "dstip", "vlan", "srcport", "ipprotocol", "flags.syn"},
	};
	uint32_t wide = 0, plain = 0, six = 0;

	for (uint32_t round = 0; round < 300; round++) {
		uint32_t n = round % 8 == 7 ? WEIR_BATCH_ROWS : 1 + rnd(WEIR_BATCH_ROWS);
		struct compact_rows rows = {0};
		struct room to = {.most = 8};
		struct weir_batch *want, *got;
		struct compact c;

		make_packets(n, round % 3);
		want = batch(n, &packets, &ps);
		assert_int_equal(compact_make(want, room, &to, &c), 0);
		rows.c = &c;
		got = batch(n, &compacts, &rows);
		wide += c.wide != NULL;
		plain += !c.caplen && c.ts_size == 4 && c.len_size == 2;
		six += c.ip6 != NULL;
		for (uint32_t i = 0; i < sizeof sets / sizeof *sets; i++) {
			same_keys(want, got, sets[i], 0);
			same_keys(want, got, sets[i], KEYPACK_NULLS);
		}
		for (uint32_t f = 0; f < FIELDS; f++)
			if (is_covered(f))
				same_column(want, got, f);
			else
				assert_int_equal(compact_fill(got, f), -ENODATA);
		weir_batch_unref(want);
		weir_batch_unref(got);
		room_free(&to);
		free_packets(n);
	}
	assert_in_range(wide, 20, 200);
	assert_in_range(plain, 20, 280);
	assert_in_range(six, 100, 300);
}

static void most_packets_take_22_bytes(void **state)
{
	uint32_t whole = (uint32_t)strlen(frames[0].hex) / 2;
	struct room to = {.most = 8};
	struct weir_batch *b;
	struct compact c;

	for (uint32_t k = 0; k < WEIR_BATCH_ROWS; k++) {
		ps.pk[k] = (struct weir_packet){.ts = 1600000000000000000 + (int64_t)k * 1000000,
		        .data = frame(&frames[0], whole, false),
		        .caplen = whole,
		        .len = whole + k,
		        .linktype = 1};
	}
	b = batch(WEIR_BATCH_ROWS, &packets, &ps);
	assert_int_equal(compact_make(b, room, &to, &c), 0);
	assert_int_equal(c.ts_size + c.len_size + c.caplen_size, 6);
	assert_true(c.nkinds < 4);
	weir_batch_unref(b);
	room_free(&to);
	free_packets(WEIR_BATCH_ROWS);
}

static void no_room_is_no_form(void **state)
{
	struct weir_batch *b;
	struct compact c;

	for (uint32_t most = 0; most < 4; most++) {
		struct room to = {.most = most};

		make_packets(900, 2);
		b = batch(900, &packets, &ps);
		if (compact_make(b, room, &to, &c) < 0)
			assert_int_equal(to.n, most);
		else
			assert_true(most >= 2);
		weir_batch_unref(b);
		room_free(&to);
		free_packets(900);
	}
	b = batch(10, &compacts, &ps);
	assert_int_equal(compact_make(b, room, &(struct room){0}, &c), -EINVAL);
	weir_batch_unref(b);
}

static void other_schemas_are_not_covered(void **state)
{
	struct weir_field f = {.name = "ts", .kind = WEIR_TIME};
	struct weir_schema *s = weir_schema_new("other", &f, 1);
	uint64_t none[FIELDS / 64 + 1] = {0};

	assert_false(compact_covers(s, none));
	assert_true(compact_covers(schema, none));
	assert_true(is_covered(FIELD_srcip) && is_covered(FIELD_cwr) && is_covered(FIELD_ts));
	assert_false(is_covered(FIELD_packet) || is_covered(FIELD_payload) ||
	             is_covered(FIELD_seq) || is_covered(FIELD_INNER_srcip));
	weir_schema_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(compact_form_is_that_of_its_packets),
	        cmocka_unit_test(most_packets_take_22_bytes),
	        cmocka_unit_test(no_room_is_no_form),
	        cmocka_unit_test(other_schemas_are_not_covered),
	};
	int r;

	schema = weir_packet_schema(9);
	pool = pool_new(NULL);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	pool_unref(pool);
	weir_schema_unref(schema);
	return r;
}
