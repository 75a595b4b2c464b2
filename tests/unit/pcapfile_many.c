/* SPDX-License-Identifier: MIT */
/* pcapfile_many.c: compressed files, several files merged by time, standard input, replay. */
#include "captures.h"

#include <lz4frame.h>
#include <lzma.h>
#include <pthread.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#define T0 1600000000u
#define N 3000

static struct file plain;

/* N packets of up to 1,599 bytes, more than one block. */
static int make_plain(void **state)
{
	if (make_where(state) < 0)
		return -1;
	put_pcap(&plain, 0xa1b2c3d4, 4, 65535, 1);
	for (uint32_t i = 0; i < N; i++)
		put_record(&plain, T0 + i, i, i % 1600, i % 1600, i);
	return 0;
}

static int free_plain(void **state)
{
	free(plain.p);
	return remove_where(state);
}

/* ---- compression ---- */

static void pack_gzip(struct file *to, const uint8_t *p, size_t n)
{
	size_t room = compressBound(n) + 64;
	uint8_t *out = malloc(room);
	z_stream z = {.next_in = (Bytef *)(uintptr_t)p,
	        .avail_in = (uInt)n,
	        .next_out = out,
	        .avail_out = (uInt)room};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	put_bytes(to, out, z.total_out);
	deflateEnd(&z);
	free(out);
}

static void pack_zstd(struct file *to, const uint8_t *p, size_t n)
{
	size_t room = ZSTD_compressBound(n);
	uint8_t *out = malloc(room);
	size_t m = ZSTD_compress(out, room, p, n, 3);

	assert_false(ZSTD_isError(m));
	put_bytes(to, out, m);
	free(out);
}

static void pack_lz4(struct file *to, const uint8_t *p, size_t n)
{
	size_t room = LZ4F_compressFrameBound(n, NULL);
	uint8_t *out = malloc(room);
	size_t m = LZ4F_compressFrame(out, room, p, n, NULL);

	assert_false(LZ4F_isError(m));
	put_bytes(to, out, m);
	free(out);
}

static void pack_xz(struct file *to, const uint8_t *p, size_t n)
{
	size_t room = lzma_stream_buffer_bound(n), m = 0;
	uint8_t *out = malloc(room);

	assert_int_equal(
	        lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, p, n, out, &m, room), LZMA_OK);
	put_bytes(to, out, m);
	free(out);
}

static const struct {
	const char *name;
	void (*pack)(struct file *to, const uint8_t *p, size_t n);
	bool skippable;
} packers[] = {{"gzip", pack_gzip, false}, {"zstd", pack_zstd, true}, {"lz4", pack_lz4, true},
        {"xz", pack_xz, false}};

static void check_plain(const struct got *g, uint32_t upto)
{
	for (uint32_t i = 0; i < upto; i++) {
		const struct weir_packet *p = &g->pk[i];

		assert_true(p->ts == (T0 + i) * 1000000000ll + i * 1000);
		assert_int_equal(p->caplen, i % 1600);
		for (uint32_t k = 0; k < p->caplen; k++)
			assert_int_equal(p->data[k], (uint8_t)(i * 7 + k * 13));
	}
}

static void whole(const char *name)
{
	struct got g;

	read_file(&g, name);
	if (g.fault.len || g.error)
		fail_msg("%s %s", g.err.text, g.fault.p ? g.fault.p : "");
	assert_int_equal(g.n, N);
	check_plain(&g, N);
	got_release(&g);
}

static void packed(void **state)
{
	static const uint8_t skippable[] = {0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};

	for (unsigned k = 0; k < 4; k++) {
		struct file f = {0};

		packers[k].pack(&f, plain.p, plain.n);
		save(&f, "one");
		whole("one");
		f.n = 0; /* three members, cut anywhere, one of them empty */
		if (packers[k].skippable)
			put_bytes(&f, skippable, sizeof skippable);
		packers[k].pack(&f, plain.p, 1001);
		packers[k].pack(&f, plain.p, 0);
		if (packers[k].skippable)
			put_bytes(&f, skippable, sizeof skippable);
		packers[k].pack(&f, plain.p + 1001, plain.n - 1001);
		save(&f, "three");
		whole("three");
		put_bytes(&f, "\0\0\0\0\0\0\0\0", 8); /* padding */
		save(&f, "padded");
		whole("padded");
		free(f.p);
	}
}

/* The packets before the fault count. */
static void broken(void **state)
{
	static const char *const how[] = {"cut short", "corrupt", "garbage"};

	for (unsigned k = 0; k < 4; k++)
		for (unsigned h = 0; h < 3; h++) {
			struct file f = {0};
			struct got g;

			packers[k].pack(&f, plain.p, plain.n / 2);
			packers[k].pack(&f, plain.p + plain.n / 2, plain.n - plain.n / 2);
			if (h == 0)
				f.n -= 9;
			else if (h == 1)
				memset(f.p + f.n - f.n / 4, 0x55, 64);
			else
				put_bytes(&f, "some more text", 14);
			save(&f, "a");
			read_file(&g, "a");
			/* damage may show first in what it is decompressed to */
			if (!g.fault.p || (h != 1 && !strstr(g.fault.p, how[h])))
				fail_msg("%s, %s: %s", packers[k].name, how[h],
				        g.fault.p ? g.fault.p : "no fault");
			assert_int_equal(g.faults.count, 1);
			assert_int_equal(g.error, 0);
			assert_in_range(g.n, h == 2 ? N : N / 2 - 60, N);
			check_plain(&g, h == 1 ? N / 2 - 60 : g.n);
			got_release(&g);
			free(f.p);
		}
}

/* Every bit of the first bytes, every length: a fault or an error, no crash. */
static void hostile(void **state)
{
	for (unsigned k = 0; k < 4; k++) {
		struct file f = {0};
		struct got g;

		packers[k].pack(&f, plain.p, 400);
		for (size_t i = 0; i < 8 * 48; i++) {
			f.p[i / 8] ^= 1 << i % 8;
			save(&f, "a");
			f.p[i / 8] ^= 1 << i % 8;
			read_file(&g, "a");
			got_release(&g);
		}
		for (size_t n = 0; n < f.n; n++) {
			save_n(&f, "a", n);
			read_file(&g, "a");
			assert_true(g.error || g.fault.len);
			got_release(&g);
		}
		free(f.p);
	}
}

/* ---- several files ---- */

/* `n` packets from `sec` on, `step` seconds apart, numbered from `number`. */
static void save_trace(
        const char *name, uint32_t magic, uint32_t sec, uint32_t step, uint32_t n, uint32_t number)
{
	struct file f = {0};

	put_pcap(&f, magic, 4, 65535, 1);
	for (uint32_t i = 0; i < n; i++)
		put_record(&f, sec + i * step, 0, 10, number + i, 0);
	save(&f, name);
	free(f.p);
}

static void merged(void **state)
{
	const char *files[] = {strdup(at("m-b")), strdup(at("m-a")), strdup(at("m-c"))};
	struct got g;

	save_trace("m-b", 0xa1b2c3d4, T0, 2, 4000, 10000);
	save_trace("m-a", 0xa1b23c4d, T0, 3, 3000, 20000);
	save_trace("m-c", 0xa1b2c3d4, T0 + 5000, 0, 10, 30000);
	read_files(&g, 0, files, 3);
	assert_int_equal(g.error, 0);
	assert_int_equal(g.n, 7010);
	assert_int_equal(g.digits, 9);
	for (uint32_t i = 1, of[2]; i < g.n; i++) {
		assert_true(g.pk[i - 1].ts <= g.pk[i].ts);
		if (g.pk[i - 1].ts != g.pk[i].ts)
			continue;
		of[0] = g.pk[i - 1].len;
		of[1] = g.pk[i].len;
		/* equal times: by file, then by place, and `len` numbers both */
		assert_true(of[0] < of[1]);
	}
	got_release(&g);
	for (int i = 0; i < 3; i++)
		free((void *)(uintptr_t)files[i]);
}

/* More files than are kept open, by a glob; one is no capture, one is cut, one is compressed. */
static void globbed(void **state)
{
	char *pattern = strdup(at("g-*"));
	const char *none;
	struct file f = {0}, z = {0};
	char name[32];
	struct got g;

	for (uint32_t i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "g-%02u", i);
		save_trace(name, 0xa1b2c3d4, T0 + (99 - i) * 10, 1, 20, i * 100);
	}
	save(&(struct file){(uint8_t *)"no capture", 10, 0}, "g-50");
	put_pcap(&f, 0xa1b2c3d4, 4, 65535, 1);
	put_record(&f, T0, 0, 10, 9999, 0);
	save_n(&f, "g-60", f.n - 1);
	put_record(&f, T0 + 1, 0, 10, 9998, 0);
	pack_gzip(&z, f.p, f.n);
	save(&z, "g-70");
	free(f.p);
	free(z.p);
	read_files(&g, 0, (const char *const *)&pattern, 1);
	free(pattern);
	assert_int_equal(g.error, 0);
	assert_int_equal(g.n, 97 * 20 + 2);
	assert_int_equal(g.faults.count, 2);
	assert_non_null(strstr(g.fault.p, "g-50"));
	assert_non_null(strstr(g.fault.p, "g-60 at byte 24: the file ends within a packet"));
	for (uint32_t i = 1; i < g.n; i++)
		assert_true(g.pk[i - 1].ts <= g.pk[i].ts);
	got_release(&g);
	none = at("nothing-*");
	read_files(&g, 0, &none, 1);
	assert_int_equal(g.error, -ENOENT);
	got_release(&g);
}

/* What the user names must be there. */
static void named(void **state)
{
	const char *files[] = {strdup(at("n-a")), strdup(at("n-b"))};
	struct got g;

	save_trace("n-a", 0xa1b2c3d4, T0, 1, 20, 0);
	read_files(&g, 0, files, 2);
	assert_int_equal(g.error, -ENOENT);
	got_release(&g);
	save(&(struct file){(uint8_t *)"no capture", 10, 0}, "n-b");
	read_files(&g, 0, files, 2);
	assert_int_equal(g.error, -EINVAL);
	got_release(&g);
	free((void *)(uintptr_t)files[0]);
	free((void *)(uintptr_t)files[1]);
}

/* ---- standard input ---- */

struct writer {
	int fd;
	size_t piece;
	const struct file *from;
};

static void *write_pieces(void *arg)
{
	const struct writer *w = arg;

	for (size_t at = 0; at < w->from->n;) {
		size_t n = w->from->n - at < w->piece ? w->from->n - at : w->piece;
		ssize_t done = write(w->fd, w->from->p + at, n);

		if (done < 0)
			break;
		at += (size_t)done;
		if (w->piece < 100)
			sched_yield();
	}
	close(w->fd);
	return NULL;
}

static void through_pipe(const struct file *from, size_t piece, struct got *g)
{
	const char *dash = "-";
	int pipes[2], before = engine->input;
	struct writer w;
	pthread_t t;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	engine->input = pipes[0];
	w = (struct writer){pipes[1], piece, from};
	assert_int_equal(pthread_create(&t, NULL, write_pieces, &w), 0);
	read_files(g, 0, &dash, 1);
	close(pipes[0]);
	pthread_join(t, NULL);
	engine->input = before;
}

static void piped(void **state)
{
	static const size_t piece[] = {1 << 20, 7919, 13};

	for (unsigned k = 0; k < 5; k++) {
		struct file f = {0};
		struct got g;

		if (k < 4)
			packers[k].pack(&f, plain.p, plain.n);
		for (unsigned i = 0; i < (k < 4 ? 2 : 3); i++) {
			through_pipe(k < 4 ? &f : &plain, piece[i], &g);
			assert_int_equal(g.error, 0);
			assert_int_equal(g.fault.len, 0);
			assert_int_equal(g.n, N);
			check_plain(&g, N);
			got_release(&g);
		}
		free(f.p);
	}
}

/* A packet must not wait for a block to fill while the writer stays open. */
static void prompt(void **state)
{
	const char *dash = "-";
	struct pcapfile_config c = {{1, &dash}, 0};
	struct rights all = {.all = true};
	int pipes[2], before = engine->input, n;
	struct weir_mem mem = {0};
	struct weir_batch *b;
	struct reader *r;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	engine->input = pipes[0];
	assert_int_equal(write(pipes[1], plain.p, 24 + 16), 40);
	assert_int_equal(
	        reader_open(&weir_source_pcapfile, &c, &all, engine, &mem, NULL, &r, NULL), 0);
	assert_int_equal(weir_source_pcapfile.read(&r->pub, &b, NULL), -EAGAIN);
	while ((n = weir_source_pcapfile.read(&r->pub, &b, NULL)) == -EAGAIN)
		wait_for(&r->pub);
	assert_int_equal(n, 1);
	assert_int_equal(b->n, 1);
	weir_batch_unref(b);
	assert_int_equal(weir_source_pcapfile.read(&r->pub, &b, NULL), -EAGAIN);
	assert_int_equal(r->pub.wake, 0);
	assert_true(r->pub.wake_fd >= 0);
	close(pipes[1]);
	assert_int_equal(weir_source_pcapfile.read(&r->pub, &b, NULL), 0);
	reader_close(r);
	close(pipes[0]);
	engine->input = before;
}

/* A named pipe whose writer is late neither holds up the open nor is taken for an empty file. */
static void late(void **state)
{
	const char *path = at("fifo");
	struct pcapfile_config c = {{1, &path}, 0};
	struct rights all = {.all = true, .pipes = true};
	struct weir_mem mem = {0};
	struct got g = {.err = WEIR_ERR_INIT};
	struct reader *r;
	pthread_t t;
	struct writer w = {.piece = 5, .from = &plain};

	assert_int_equal(mkfifo(path, 0600), 0);
	g.took = test_now();
	assert_int_equal(
	        reader_open(&weir_source_pcapfile, &c, &all, engine, &mem, NULL, &r, NULL), 0);
	assert_true(test_now() - g.took < 4000000000);
	assert_int_equal(r->pub.schema->fields[0].digits, 9);
	w.fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(w.fd >= 0);
	assert_int_equal(pthread_create(&t, NULL, write_pieces, &w), 0);
	faults_init(&g.faults);
	read_rest(&g, r);
	pthread_join(t, NULL);
	reader_close(r);
	assert_int_equal(g.error, 0);
	assert_int_equal(g.n, N);
	check_plain(&g, N);
	got_release(&g);
}

/* ---- determinism, replay, memory ---- */

static void full_batches(void **state)
{
	struct got g;

	save_trace("full", 0xa1b2c3d4, T0, 1, 50000, 0);
	read_file(&g, "full");
	assert_int_equal(g.n, 50000);
	assert_int_equal(g.batches, 49); /* 48 full ones and the rest */
	assert_int_equal(g.first, WEIR_BATCH_ROWS);
	got_release(&g);
}

static void replay(void **state)
{
	const char *path = at("slow");
	struct got g;

	save_trace("slow", 0xa1b2c3d4, T0, 1, 11, 0); /* 10 s */
	read_files(&g, 100, &path, 1);
	assert_int_equal(g.error, 0);
	assert_int_equal(g.n, 11);
	/* never early; on a busy machine several may be due at once */
	assert_true(g.took >= 100000000);
	assert_true(g.batches >= 1 && g.batches <= 11);
	assert_true(g.again >= 1);
	got_release(&g);
	read_files(&g, 1e9, &path, 1);
	assert_int_equal(g.n, 11);
	assert_true(g.took < 10000000000);
	got_release(&g);
}

/* At any limit it reads all or says that memory is short; nothing is lost. */
static void limits(void **state)
{
	bool enough = false;

	save(&plain, "plain");
	for (size_t limit = 1000; !enough; limit += limit / 2) {
		const char *path = at("plain");
		struct pcapfile_config c = {{1, &path}, 0};
		struct rights all = {.all = true};
		struct weir_mem mem = {.limit = limit};
		struct weir_err err = WEIR_ERR_INIT;
		struct weir_batch *b;
		struct reader *r;
		uint32_t n = 0;
		int e;

		e = reader_open(&weir_source_pcapfile, &c, &all, engine, &mem, NULL, &r, &err);
		if (e == 0) {
			while ((e = weir_source_pcapfile.read(&r->pub, &b, &err)) == 1) {
				n += b->n;
				weir_batch_unref(b);
			}
			reader_close(r);
			enough = e == 0;
		}
		if (enough)
			assert_int_equal(n, N);
		else
			assert_int_equal(e, -ENOMEM);
		assert_int_equal(mem.used, 0);
	}
}

static void line(void *arg, const char *key, const char *value)
{
	text_printf(arg, "%s: %s\n", key, value);
}

static void info(void **state)
{
	const char *path = at("info");
	struct pcapfile_config c = {{1, &path}, 0};
	struct rights all = {.all = true, .pipes = true};
	struct weir_mem mem = {0};
	struct text t = TEXT_INIT;
	struct file f = {0}, z = {0};
	struct reader *r;
	char want[400];

	big = true;
	put_section(&f);
	put_interface(&f, 1, 100, 9, 0);
	put_interface(&f, 101, 0, 0x8a, 0);
	big = false;
	pack_gzip(&z, f.p, f.n);
	save(&z, "info");
	assert_int_equal(
	        reader_open(&weir_source_pcapfile, &c, &all, engine, &mem, NULL, &r, NULL), 0);
	assert_int_equal(weir_source_pcapfile.info(&r->pub, line, &t, NULL), 0);
	reader_close(r);
	snprintf(want, sizeof want,
	        "file: %s\nsize: %zu bytes\ncompression: gzip\nformat: pcapng 1.0\n"
	        "byte order: big endian\nlink types: 1 (Ethernet), 101 (Raw IP)\n"
	        "interfaces: 2\nsnap length: 100 bytes\ntime resolution: 10^-9 s\n",
	        path, z.n);
	assert_string_equal(t.p, want);
	text_release(&t);
	free(f.p);
	free(z.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(packed),
	        cmocka_unit_test(broken),
	        cmocka_unit_test(hostile),
	        cmocka_unit_test(merged),
	        cmocka_unit_test(globbed),
	        cmocka_unit_test(named),
	        cmocka_unit_test(piped),
	        cmocka_unit_test(prompt),
	        cmocka_unit_test(late),
	        cmocka_unit_test(full_batches),
	        cmocka_unit_test(replay),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(info),
	};

	return cmocka_run_group_tests(tests, make_plain, free_plain);
}
