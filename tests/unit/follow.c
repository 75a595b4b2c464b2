/* SPDX-License-Identifier: MIT */
/* follow.c: captures that grow: cut anywhere, taken up again anywhere, overwritten at any time, the
 * packets are those of the whole files; and states that are torn are told from those that are not.
 */
#include "captures.h"
#include "rnd.h"

#include "sources/grown.h"
#include "sources/spool_files.h"
#include "sources/state_file.h"
#include <errno.h>

#define PACKETS 300

/* A capture of one of several kinds: its packets are numbered from `first`, and tell so. */
static void make(struct file *f, unsigned kind, uint32_t first)
{
	*f = (struct file){0};
	big = kind & 1;
	if (kind < 4)
		put_pcap(f, kind & 2 ? 0xa1b23c4d : 0xa1b2c3d4, 4, 1u << 20, 1);
	else
		put_section(f);
	if (kind >= 4)
		put_interface(f, 1, 0, 9, 0);
	for (uint32_t i = first; i < first + PACKETS; i++) {
		uint32_t len = rnd(100) ? rnd(200) : rnd(250000);

		if (kind < 4) {
			put_record(f, 1000 + i, i % 1000, len, len + 1, i);
			continue;
		}
		if (rnd(20) == 0) {
			put_section(f);
			put_interface(f, 1, 0, 9, 0);
		}
		put_enhanced(f, 0, (1000ull + i) * 1000000000 + i % 1000, len, len + 1, i);
	}
	big = false;
}

static void append(const struct file *f, const char *name, size_t from, size_t to)
{
	int fd = open(at(name), O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_int_equal(write(fd, f->p + from, to - from), to - from);
	close(fd);
}

static struct reader *begin(struct got *g, const char *name)
{
	static struct pcapfile_config c;
	static const char *path;
	struct rights all = {.all = true};
	struct reader *r;

	path = at(name);
	c = (struct pcapfile_config){.files = {1, &path}, .follow = true};
	*g = (struct got){.err = WEIR_ERR_INIT};
	faults_init(&g->faults);
	assert_int_equal(reader_open(&weir_source_pcapfile, &c, &all, engine, &g->mem, &g->faults,
	                         &r, &g->err),
	        0);
	return r;
}

/* All that is there. */
static void read_now(struct got *g, struct reader *r)
{
	struct weir_batch *b;

	while ((g->error = weir_source_pcapfile.read(&r->pub, &b, &g->err)) == 1) {
		got_batch(g, b);
		weir_batch_unref(b);
	}
	assert_int_equal(g->error, -EAGAIN);
}

static void finish(struct got *g, struct reader *r)
{
	reader_close(r);
	assert_int_equal(g->mem.used, 0);
}

static void same_packets(const struct weir_packet *a, const struct weir_packet *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(a[i].ts, b[i].ts);
		assert_int_equal(a[i].len, b[i].len);
		assert_int_equal(a[i].caplen, b[i].caplen);
		assert_memory_equal(a[i].data, b[i].data, a[i].caplen);
	}
}

static void cuts(void **state)
{

	for (unsigned round = 0; round < 24; round++) {
		struct got whole, part;
		struct reader *r;
		struct file f;
		size_t done = 0, most = rnd(3) ? 2000 : 100000;

		make(&f, round % 6, 0);
		save(&f, "whole");
		read_file(&whole, "whole");
		assert_int_equal(whole.n, PACKETS);
		unlink(at("grows"));
		append(&f, "grows", 0, 0);
		r = begin(&part, "grows");
		while (done < f.n) {
			size_t to = done + 1 + rnd((uint32_t)most);

			to = to < f.n ? to : f.n;
			append(&f, "grows", done, to);
			done = to;
			read_now(&part, r);
		}
		assert_int_equal(part.n, whole.n);
		same_packets(part.pk, whole.pk, whole.n);
		assert_int_equal(part.faults.count, 0);
		finish(&part, r);
		got_release(&part);
		got_release(&whole);
		free(f.p);
	}
}

/* Begun at each packet, the rest of them comes. */
static void taken_up(void **state)
{

	for (unsigned kind = 0; kind < 6; kind++) {
		struct weir_mem mem = {0};
		struct block_pool *pool = block_pool_new(65536, &mem);
		uint64_t offset[PACKETS + 1] = {0};
		struct got whole;
		struct grown g;
		struct file f;

		make(&f, kind, 0);
		save(&f, "whole");
		read_file(&whole, "whole");
		for (uint32_t k = 0; k <= PACKETS; k += k < 3 ? 1 : 1 + rnd(9)) {
			struct weir_packet p[16];
			struct block *b;
			uint32_t had = 0;
			int n;

			if (k > 0) { /* where the first k end */
				assert_int_equal(
				        grown_open(&g, open(at("whole"), O_RDONLY), 0, pool, &mem),
				        0);
				for (uint32_t i = 0; i < k; i++)
					assert_int_equal(grown_next(&g, p, 1, &b), 1);
				offset[k] = grown_offset(&g);
				grown_close(&g);
			}
			assert_int_equal(
			        grown_open(&g, open(at("whole"), O_RDONLY), offset[k], pool, &mem),
			        0);
			while ((n = grown_next(&g, p, 16, &b)) > 0) {
				same_packets(p, whole.pk + k + had, (uint32_t)n);
				had += (uint32_t)n;
			}
			assert_int_equal(n, -EAGAIN);
			assert_int_equal(had, PACKETS - k);
			grown_end(&g);
			assert_int_equal(grown_next(&g, p, 16, &b), 0);
			assert_string_equal(g.trace.fault, "");
			grown_close(&g);
		}
		block_pool_unref(pool);
		assert_int_equal(mem.used, 0);
		got_release(&whole);
		free(f.p);
	}
}

/* Whatever is written over a file while it is read, no packet is of both. */
static void overwritten(void **state)
{

	for (unsigned round = 0; round < 40; round++) {
		struct file a, b;
		struct got whole_a, whole_b, got;
		struct reader *r;
		uint32_t of_a;
		size_t done;

		make(&a, rnd(6), 0);
		make(&b, rnd(6), 1000);
		save(&a, "a");
		save(&b, "b");
		read_file(&whole_a, "a");
		read_file(&whole_b, "b");
		save_n(&a, "file", 2000 + rnd((uint32_t)a.n - 2000));
		r = begin(&got, "file");
		read_now(&got, r);
		of_a = got.n;
		assert_true(of_a > 0);
		done = rnd(2) ? b.n : rnd((uint32_t)b.n);
		save_n(&b, "file", done); /* in place: the inode stays */
		read_now(&got, r);
		append(&b, "file", done, b.n);
		read_now(&got, r);
		assert_int_equal(got.n, of_a + PACKETS);
		same_packets(got.pk, whole_a.pk, of_a);
		same_packets(got.pk + of_a, whole_b.pk, PACKETS);
		assert_int_equal(got.faults.count, 1);
		finish(&got, r);
		got_release(&got);
		got_release(&whole_a);
		got_release(&whole_b);
		free(a.p);
		free(b.p);
	}
}

/* ---- the state ---- */

static int open_state(struct state_file *s, const char *of)
{
	struct weir_err err = WEIR_ERR_INIT;
	int r = state_file_open(s, at("state"), of, &err);

	assert_int_equal(r < 0, err.id != WEIR_E_NONE);
	return r;
}

static size_t load(uint8_t *to, size_t size)
{
	FILE *f = fopen(at("state"), "r");
	size_t n = fread(to, 1, size, f);

	fclose(f);
	return n;
}

static void states(void **state)
{
	struct state_entry e[20];
	struct state_file s, other;
	uint8_t text[8192];
	struct file f = {.p = text};

	for (uint32_t i = 0; i < 20; i++)
		e[i] = (struct state_entry){
		        {rnd64(), rnd64(), rnd(1025), rnd64()}, rnd64(), rnd64()};
	assert_int_equal(open_state(&s, "spool:/x"), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(state_file_write(&s, e, 20), 0);
	assert_int_equal(open_state(&other, "spool:/x"), -EBUSY);
	state_file_close(&other);
	assert_int_equal(state_file_write(&s, e, 19), 0);
	assert_int_equal(state_file_write(&s, e, 20), 0);
	assert_int_equal(open_state(&other, "spool:/x"), -EBUSY);
	state_file_close(&other);
	state_file_close(&s);
	assert_int_equal(open_state(&s, "spool:/y"), -EINVAL);
	state_file_close(&s);
	assert_int_equal(open_state(&s, "spool:/x"), 0);
	assert_int_equal(s.n, 20);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(s.entry[i].id.dev, e[i].id.dev);
		assert_int_equal(s.entry[i].id.ino, e[i].id.ino);
		assert_int_equal(s.entry[i].id.len, e[i].id.len);
		assert_int_equal(s.entry[i].id.hash, e[i].id.hash);
		assert_int_equal(s.entry[i].offset, e[i].offset);
		assert_int_equal(s.entry[i].size, e[i].size);
	}
	state_file_close(&s);
	f.n = load(text, sizeof text);
	for (size_t n = 1; n < f.n; n++) { /* torn anywhere */
		save_n(&f, "state", n);
		assert_int_equal(open_state(&s, "spool:/x"), -EINVAL);
		state_file_close(&s);
	}
	for (size_t i = 0; i < f.n; i++) { /* any byte another one */
		uint8_t was = text[i];

		text[i] ^= (uint8_t)(1 + rnd(255));
		save(&f, "state");
		assert_int_equal(open_state(&s, "spool:/x"), -EINVAL);
		state_file_close(&s);
		text[i] = was;
	}
	for (uint32_t i = 0; i < 300; i++) { /* noise */
		struct file noise = {.p = text, .n = 1 + rnd(500)};

		for (size_t k = 0; k < noise.n; k++)
			text[k] = (uint8_t)rnd(256);
		save(&noise, "state");
		assert_int_equal(open_state(&s, "spool:/x"), -EINVAL);
		state_file_close(&s);
	}
	save_n(&f, "state", 0);
	assert_int_equal(open_state(&s, "spool:/x"), 0);
	state_file_close(&s);
}

/* What others have put under the two names: nothing is done to it. */
static void planted(void **state)
{
	struct state_entry e = {{1, 2, 3, 4}, 5, 6};
	struct file f = {0};
	struct state_file s;
	struct stat st;

	unlink(at("state"));
	assert_int_equal(symlink("/tmp/weir-unit-none", at("state")), 0);
	assert_int_equal(open_state(&s, "spool:/x"), -ELOOP);
	state_file_close(&s);
	assert_int_equal(lstat("/tmp/weir-unit-none", &st), -1);
	unlink(at("state"));
	assert_int_equal(mkfifo(at("state"), 0600), 0);
	assert_int_equal(open_state(&s, "spool:/x"), -EINVAL);
	state_file_close(&s);
	unlink(at("state"));
	assert_int_equal(open_state(&s, "spool:/x"), 0);
	put_bytes(&f, "theirs", 6);
	save(&f, "theirs");
	for (unsigned k = 0; k < 3; k++) {
		char theirs[64];

		strcpy(theirs, at("theirs"));
		if (k == 0)
			assert_int_equal(link(theirs, at("state.new")), 0);
		else if (k == 1)
			assert_int_equal(mkfifo(at("state.new"), 0600), 0);
		else
			assert_int_equal(symlink(theirs, at("state.new")), 0);
		assert_int_equal(state_file_write(&s, &e, 1), 0);
		assert_int_equal(lstat(at("state.new"), &st), -1);
		assert_int_equal(stat(theirs, &st), 0);
		assert_int_equal(st.st_size, 6);
		assert_int_equal(st.st_nlink, 1);
	}
	state_file_close(&s);
	assert_int_equal(open_state(&s, "spool:/x"), 0);
	assert_int_equal(s.n, 1);
	state_file_close(&s);
	free(f.p);
}

/* ---- the files of a spool ---- */

static void spool(void **state)
{
	struct weir_mem mem = {0};
	struct spool_files s;
	struct spool_file *f;
	int64_t last = INT64_MIN;
	bool full;
	char name[32];

	spool_files_init(&s, &mem, 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		struct file_id id = {1, i, 100, i};

		snprintf(name, sizeof name, "file%u", i);
		f = spool_files_add(&s, name, &id, &full);
		assert_non_null(f);
		f->first = rnd(1000);
		assert_int_equal(spool_files_wait(&s, f), 0);
	}
	assert_null(spool_files_add(&s, "more", &(struct file_id){1, 9999, 1, 1}, &full));
	assert_true(full);
	for (uint32_t i = 0; i < 5000; i++) {
		f = spool_files_next(&s);
		assert_non_null(f);
		assert_true(f->first >= last);
		last = f->first;
		f->state = SPOOL_REST;
	}
	assert_null(spool_files_next(&s));
	/* names that are gone make room, the oldest first; one that is back stays */
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "file%u", i);
		assert_int_equal(spool_files_rename(&s, spool_files_named(&s, name), NULL), 0);
		assert_null(spool_files_named(&s, name));
	}
	f = s.gone->gone;
	assert_int_equal(spool_files_rename(&s, f, "back"), 0);
	assert_ptr_equal(spool_files_named(&s, "back"), f);
	assert_non_null(spool_files_add(&s, "more", &(struct file_id){1, 9999, 1, 1}, &full));
	assert_ptr_equal(spool_files_named(&s, "back"), f);
	assert_int_equal(s.n, 4999);
	assert_int_equal(spool_files_rename(&s, f, NULL), 0);
	assert_int_equal(s.ngone, 1);
	spool_files_release(&s);
	assert_int_equal(mem.used, 0);
}

/* With no room left a file that is gone is forgotten, and its name goes to the next one. */
static void spool_name(void **state)
{
	static const char name[] = "a name that malloc() overwrites the beginning of";
	struct weir_mem mem = {0};
	struct spool_file *a, *b;
	struct spool_files s;
	bool full;

	spool_files_init(&s, &mem, 1);
	a = spool_files_add(&s, name, &(struct file_id){1, 1, 100, 1}, &full);
	assert_non_null(a);
	assert_int_equal(spool_files_rename(&s, a, NULL), 0);
	b = spool_files_add(&s, a->was, &(struct file_id){1, 2, 100, 2}, &full);
	assert_non_null(b);
	assert_string_equal(b->name, name);
	assert_ptr_equal(spool_files_named(&s, name), b);
	assert_int_equal(s.n, 1);
	spool_files_release(&s);
	assert_int_equal(mem.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(cuts),
	        cmocka_unit_test(taken_up),
	        cmocka_unit_test(overwritten),
	        cmocka_unit_test(states),
	        cmocka_unit_test(planted),
	        cmocka_unit_test(spool),
	        cmocka_unit_test(spool_name),
	};

	return cmocka_run_group_tests(tests, make_where, remove_where);
}
