/* SPDX-License-Identifier: MIT */
/* captures.h: for tests of the pcapfile source: made-up capture files, and reading files whole. */
#ifndef CAPTURES_H
#define CAPTURES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/core/engine.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

extern const struct weir_source weir_source_pcapfile;

/* ---- made-up files ---- */

static bool big; /* write big endian */

struct file {
	uint8_t *p;
	size_t n, cap;
};

static inline void put_bytes(struct file *f, const void *p, size_t n)
{
	if (f->n + n > f->cap) {
		f->cap = (f->n + n) * 2;
		f->p = realloc(f->p, f->cap);
		assert_non_null(f->p);
	}
	if (n)
		memcpy(f->p + f->n, p, n);
	f->n += n;
}

static inline void put_uint(struct file *f, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t b = (uint8_t)(v >> 8 * (big ? n - 1 - i : i));

		put_bytes(f, &b, 1);
	}
}

#define put16(f, v) put_uint(f, v, 2)
#define put32(f, v) put_uint(f, v, 4)
#define put64(f, v) put_uint(f, v, 8)

static inline void put_pcap(
        struct file *f, uint32_t magic, unsigned minor, uint32_t snaplen, uint32_t link)
{
	put32(f, magic);
	put16(f, 2);
	put16(f, minor);
	put64(f, 0);
	put32(f, snaplen);
	put32(f, link);
}

/* `n` bytes that tell the packet's number and its place. */
static inline void put_filler(struct file *f, uint32_t number, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t b = (uint8_t)(number * 7 + i * 13);

		put_bytes(f, &b, 1);
	}
}

static inline void put_record(
        struct file *f, uint32_t sec, uint32_t frac, uint32_t caplen, uint32_t len, uint32_t number)
{
	put32(f, sec);
	put32(f, frac);
	put32(f, caplen);
	put32(f, len);
	put_filler(f, number, caplen);
}

static inline void put_block(struct file *f, uint32_t type, const struct file *body)
{
	uint32_t total = 12 + (uint32_t)((body->n + 3) & ~(size_t)3);

	put32(f, type);
	put32(f, total);
	put_bytes(f, body->p, body->n);
	put_bytes(f, "\0\0", -body->n & 3);
	put32(f, total);
}

static inline void put_section(struct file *f)
{
	struct file b = {0};

	put32(&b, 0x1a2b3c4d);
	put16(&b, 1);
	put16(&b, 0);
	put64(&b, UINT64_MAX);
	put_block(f, 0x0a0d0d0a, &b);
	free(b.p);
}

/* resolution 0: no option; offset 0: none. */
static inline void put_interface(
        struct file *f, uint16_t link, uint32_t snaplen, uint8_t resolution, int64_t offset)
{
	struct file b = {0};

	put16(&b, link);
	put16(&b, 0);
	put32(&b, snaplen);
	put16(&b, 2); /* if_name */
	put16(&b, 5);
	put_bytes(&b, "veth0\0\0", 8);
	if (resolution) {
		put16(&b, 9);
		put16(&b, 1);
		put_bytes(&b, &resolution, 1);
		put_bytes(&b, "\0\0", 3);
	}
	if (offset) {
		put16(&b, 14);
		put16(&b, 8);
		put64(&b, (uint64_t)offset);
	}
	put32(&b, 0);
	put_block(f, 1, &b);
	free(b.p);
}

static inline void put_enhanced(struct file *f, uint32_t iface, uint64_t ticks, uint32_t caplen,
        uint32_t len, uint32_t number)
{
	struct file b = {0};

	put32(&b, iface);
	put32(&b, ticks >> 32);
	put32(&b, (uint32_t)ticks);
	put32(&b, caplen);
	put32(&b, len);
	put_filler(&b, number, caplen);
	if (number % 2) { /* a comment */
		put_bytes(&b, "\0\0\0", -caplen & 3);
		put16(&b, 1);
		put16(&b, 6);
		put_bytes(&b, "a word\0\0", 8);
		put32(&b, 0);
	}
	put_block(f, 6, &b);
	free(b.p);
}

/* ---- in a directory of the test's own ---- */

static char where[64];
static struct engine *engine;

static inline int make_where(void **state)
{
	struct engine_options o = {0};

	strcpy(where, "/tmp/weir-test-XXXXXX");
	engine = engine_new(&o);
	return engine && mkdtemp(where) ? 0 : -1;
}

static inline int remove_where(void **state)
{
	char command[128];

	engine_free(engine);
	snprintf(command, sizeof command, "rm -rf '%s'", where);
	return system(command);
}

/* The path of a file of the test, one of eight static buffers. */
static inline const char *at(const char *name)
{
	static char buf[8][128];
	static unsigned k;

	k = (k + 1) % 8;
	snprintf(buf[k], sizeof buf[k], "%s/%s", where, name);
	return buf[k];
}

static inline void save_n(const struct file *f, const char *name, size_t n)
{
	FILE *to = fopen(at(name), "w");

	assert_non_null(to);
	assert_int_equal(fwrite(f->p, 1, n, to), n);
	assert_int_equal(fclose(to), 0);
}

static inline void save(const struct file *f, const char *name)
{
	save_n(f, name, f->n);
}

static inline void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void run(const char *format, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/* ---- reading ---- */

/* As the source's own, which no header shows: files, options. */
struct pcapfile_config {
	struct weir_words files;
	double speed;
	bool follow;
	const char *state;
};

struct got {
	struct weir_mem mem;
	struct faults faults;
	struct text fault; /* faults_text() */
	struct weir_err err;
	int error; /* of open or read */
	unsigned digits;
	uint32_t n, room, batches;
	struct weir_packet *pk; /* data: copies */
	uint32_t first;         /* rows of the first batch */
	uint64_t again;         /* how often it said -EAGAIN */
	int64_t took;           /* ns */
};

static inline int64_t test_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static inline void got_release(struct got *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		free((void *)(uintptr_t)g->pk[i].data);
	free(g->pk);
	faults_release(&g->faults);
	text_release(&g->fault);
}

static inline void got_batch(struct got *g, struct weir_batch *b)
{
	const struct weir_packets *p = b->priv;

	assert_int_equal(b->n, b->nsel);
	assert_in_range(b->n, 1, WEIR_BATCH_ROWS);
	if (!g->batches++)
		g->first = b->n;
	for (uint32_t i = 0; i < b->n; i++) {
		struct weir_packet *to;

		if (g->n == g->room) {
			g->room = g->room ? g->room * 2 : 64;
			g->pk = realloc(g->pk, g->room * sizeof *g->pk);
			assert_non_null(g->pk);
		}
		to = &g->pk[g->n++];
		*to = p->pk[i];
		to->data = malloc(to->caplen + 1);
		assert_non_null(to->data);
		memcpy((void *)(uintptr_t)to->data, p->pk[i].data, to->caplen);
	}
}

static inline void wait_for(const struct weir_reader *r)
{
	struct pollfd p = {.fd = r->wake_fd, .events = POLLIN};
	int64_t ms = r->wake ? (r->wake - test_now()) / 1000000 + 1 : 1000;

	assert_true(r->wake || r->wake_fd >= 0);
	poll(&p, r->wake_fd >= 0, ms < 0 ? 0 : (int)ms);
}

/* Reads to the end; a few batches stay alive while it reads on, as in a query. */
static inline void read_rest(struct got *g, struct reader *r)
{
	struct weir_batch *held[4];
	unsigned n = 0;

	while (g->error >= 0) {
		if (n == 4) {
			got_batch(g, held[0]);
			weir_batch_unref(held[0]);
			memmove(held, held + 1, --n * sizeof *held);
		}
		g->error = weir_source_pcapfile.read(&r->pub, &held[n], &g->err);
		if (g->error == -EAGAIN) {
			g->again++;
			g->error = 0;
			wait_for(&r->pub);
		} else if (g->error == 1) {
			n++;
		} else {
			break;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		got_batch(g, held[i]);
		weir_batch_unref(held[i]);
	}
}

static inline void read_files(struct got *g, double speed, const char *const *files, uint32_t n)
{
	struct pcapfile_config c = {.files = {n, files}, .speed = speed};
	struct rights all = {.all = true};
	struct reader *r;

	*g = (struct got){.err = WEIR_ERR_INIT};
	faults_init(&g->faults);
	g->took = test_now();
	g->error = reader_open(
	        &weir_source_pcapfile, &c, &all, engine, &g->mem, &g->faults, &r, &g->err);
	if (g->error == 0) {
		g->digits = r->pub.schema->fields[0].digits;
		read_rest(g, r);
		assert_true(r->pub.bytes_total == 0 || r->pub.bytes_done <= r->pub.bytes_total);
		reader_close(r);
	}
	g->took = test_now() - g->took;
	assert_int_equal(g->mem.used, 0);
	faults_text(&g->faults, &g->fault);
}

static inline void read_file(struct got *g, const char *name)
{
	const char *path = at(name);

	read_files(g, 0, &path, 1);
}

#endif
