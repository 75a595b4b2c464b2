/* SPDX-License-Identifier: MIT */
/* pieces.c: a trace that is fetched piece by piece, in any order, gives the same batches, packets
 * and faults as one that is read from its beginning to its end. */
#include "captures.h"
#include "rnd.h"

#include "sources/pieces.h"

#define T0 1600000000u

static struct file f;
/* ---- both ways ---- */

struct way {
	struct got got;
	uint32_t rows[20000]; /* of each batch */
	uint64_t done;
};

struct fetching {
	uint32_t ahead;
	uint64_t from; /* all below are fetched */
	uint64_t bits; /* from + i is */
	bool ended;
};

/* One of those that may be fetched now; false: there is none. */
static bool fetch_one(struct fetching *f, struct weir_reader *r)
{
	uint64_t most = r->piece + f->ahead - f->from, k;

	if (f->ended || !most)
		return false;
	k = rnd((uint32_t)most);
	if (f->bits >> k & 1)
		k = (uint64_t)__builtin_ctzll(~f->bits);
	if (k >= most)
		return false;
	if (weir_source_pcapfile.fetch(r, f->from + k, rnd(3)) == 0 && k == 0)
		f->ended = true; /* only what is behind it was left out */
	f->bits |= 1ull << k;
	while (f->bits & 1) {
		f->bits >>= 1;
		f->from++;
	}
	return true;
}

static void take(struct way *w, struct weir_batch *b)
{
	assert_in_range(w->got.batches, 0, 19999);
	w->rows[w->got.batches] = b->n;
	got_batch(&w->got, b);
	weir_batch_unref(b);
}

/* ahead 0: from its beginning to its end. Returns whether there were pieces. */
static bool way(struct way *w, const char *name, uint32_t ahead)
{
	const char *path = at(name);
	struct pcapfile_config c = {{1, &path}, 0};
	struct rights all = {.all = true};
	struct fetching f = {.ahead = ahead};
	struct weir_batch *held[3];
	unsigned n = 0;
	struct reader *r;
	bool in_pieces;

	w->got = (struct got){.err = WEIR_ERR_INIT};
	faults_init(&w->got.faults);
	assert_int_equal(reader_open(&weir_source_pcapfile, &c, &all, engine, &w->got.mem,
	                         &w->got.faults, &r, &w->got.err),
	        0);
	in_pieces = ahead && weir_source_pcapfile.pieces(&r->pub, ahead, 3) == 1;
	for (;;) {
		int got;

		while (in_pieces && rnd(3) == 0 && fetch_one(&f, &r->pub))
			;
		if (n == 3) {
			take(w, held[0]);
			memmove(held, held + 1, --n * sizeof *held);
		}
		got = weir_source_pcapfile.read(&r->pub, &held[n], &w->got.err);
		if (got == -EAGAIN) {
			assert_true(in_pieces);
			if (r->pub.piece >= f.from)
				assert_true(fetch_one(&f, &r->pub));
			continue;
		}
		w->got.error = got;
		if (got <= 0)
			break;
		n++;
	}
	for (unsigned i = 0; i < n; i++)
		take(w, held[i]);
	w->done = r->pub.bytes_done;
	reader_close(r);
	assert_int_equal(w->got.mem.used, 0);
	faults_text(&w->got.faults, &w->got.fault);
	return in_pieces;
}

static bool same_either_way(const char *name)
{
	static struct way want, got;
	bool in_pieces = false;

	way(&want, name, 0);
	for (uint32_t ahead = 1; ahead < 8; ahead += 2) {
		in_pieces = way(&got, name, ahead);
		assert_int_equal(got.got.error, want.got.error);
		assert_string_equal(got.got.fault.p ? got.got.fault.p : "",
		        want.got.fault.p ? want.got.fault.p : "");
		assert_int_equal(got.got.batches, want.got.batches);
		assert_memory_equal(got.rows, want.rows, want.got.batches * sizeof *want.rows);
		if (!want.got.faults.count)
			assert_int_equal(got.done, want.done);
		for (uint32_t i = 0; i < want.got.n; i++) {
			struct weir_packet *a = &got.got.pk[i], *b = &want.got.pk[i];

			assert_true(a->ts == b->ts && a->caplen == b->caplen && a->len == b->len &&
			            a->linktype == b->linktype && a->ifindex == b->ifindex);
			assert_memory_equal(a->data, b->data, b->caplen);
		}
		got_release(&got.got);
	}
	got_release(&want.got);
	return in_pieces;
}

/* ---- files ---- */

static int clear(void **state)
{
	f.n = 0;
	big = false;
	return 0;
}

static uint32_t size_of(unsigned kind)
{
	switch (kind) {
	case 0:
		return 60;
	case 1:
		return rnd(1600);
	case 2: /* a piece has few of them */
		return rnd(20) ? 20000 + rnd(60000) : rnd(262144);
	default:
		return rnd(3) ? rnd(100) : rnd(65536);
	}
}

static void sizes(void **state)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		clear(NULL);
		put_pcap(&f, 0xa1b2c3d4, 4, 262144, 1);
		for (uint32_t i = 0; f.n < 3000000; i++) {
			uint32_t n = size_of(kind);

			put_record(&f, T0 + i, i, n, n + 1, i);
		}
		save(&f, "a");
		assert_true(same_either_way("a"));
		/* cut anywhere: in a header, in a packet, at the end of a piece */
		for (unsigned k = 0; k < 6; k++) {
			save_n(&f, "b", f.n - 1 - rnd(k < 3 ? 40 : 700000));
			same_either_way("b");
		}
	}
}

/* Of one packet that many pieces make up, and more behind it. */
static void huge(void **state)
{
	put_pcap(&f, 0xa1b2c3d4, 4, 1u << 27, 231);
	for (uint32_t i = 0; i < 5000; i++)
		put_record(&f, T0 + i, i, 100, 100, i);
	for (uint32_t i = 0; i < 3; i++)
		put_record(&f, T0 + i, i, 2000000 + i * 300001, 5000000, i);
	for (uint32_t i = 0; i < 5000; i++)
		put_record(&f, T0 + i, i, 100, 100, i);
	save(&f, "a");
	assert_true(same_either_way("a"));
	save_n(&f, "b", f.n - 1500000);
	same_either_way("b");
}

/* What ends the file in its middle: a length that cannot be. */
static void fault(void **state)
{
	for (uint32_t bad = 1000; bad < 30000; bad += 7001) {
		clear(NULL);
		put_pcap(&f, 0xa1b2c3d4, 4, 65535, 1);
		for (uint32_t i = 0; i < 30000; i++) {
			put_record(&f, T0 + i, i, 60, 60, i);
			if (i == bad)
				put_record(&f, T0, 0, 0, 0, 0), memset(f.p + f.n - 8, 0xff, 4);
		}
		save(&f, "a");
		assert_true(same_either_way("a"));
	}
}

static void pcapng(void **state)
{
	put_section(&f);
	put_interface(&f, 1, 65535, 0, 0);
	put_interface(&f, 113, 65535, 9, 0);
	for (uint32_t i = 0; f.n < 2500000; i++) {
		uint32_t n = rnd(50) ? rnd(300) : rnd(65536);

		put_enhanced(&f, i % 2, 1600000000000000ull + i, n, n, i);
		if (i % 5000 == 4999) {
			put_section(&f);
			put_interface(&f, 1, 65535, 0, 0);
			put_interface(&f, 113, 65535, 9, 0);
		}
	}
	save(&f, "a");
	assert_true(same_either_way("a"));
	save_n(&f, "b", f.n - 100001);
	same_either_way("b");
}

/* What cannot be fetched in pieces says so. */
static void others(void **state)
{
	struct pcapfile_config c = {{1, NULL}, 0};
	struct rights all = {.all = true};
	struct weir_mem mem = {0};
	const char *path[2];
	struct reader *r;

	put_pcap(&f, 0xa1b2c3d4, 4, 65535, 1);
	for (uint32_t i = 0; i < 10; i++)
		put_record(&f, T0 + i, i, 60, 60, i);
	save(&f, "small");
	assert_false(same_either_way("small"));
	for (uint32_t i = 0; i < 30000; i++)
		put_record(&f, T0 + i, i, 60, 60, i);
	save(&f, "a");
	run("gzip -c '%s' >'%s'", at("a"), at("a.gz"));
	path[0] = at("a.gz");
	path[1] = at("a");
	for (int k = 0; k < 3; k++) {
		c.files = (struct weir_words){k == 1 ? 2 : 1, k == 2 ? path + 1 : path};
		c.speed = k == 2 ? 1000 : 0;
		assert_int_equal(
		        reader_open(&weir_source_pcapfile, &c, &all, engine, &mem, NULL, &r, NULL),
		        0);
		assert_int_equal(weir_source_pcapfile.pieces(&r->pub, 4, 2), 0);
		reader_close(r);
	}
	assert_int_equal(mem.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(sizes, clear),
	        cmocka_unit_test_setup(huge, clear),
	        cmocka_unit_test_setup(fault, clear),
	        cmocka_unit_test_setup(pcapng, clear),
	        cmocka_unit_test_setup(others, clear),
	};
	int r;

	seed = 5;
	r = cmocka_run_group_tests(tests, make_where, remove_where);
	free(f.p);
	return r;
}
