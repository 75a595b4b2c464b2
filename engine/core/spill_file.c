/* SPDX-License-Identifier: MIT */
/* spill_file.c: see spill_file.h. */
#include "engine/core/spill_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/core/grow.h"

#define PAGE ((size_t)4096)

static int failed(const struct spill_file *f, int no)
{
	struct run_context *run = f->node->graph->run;

	run->failed = f->node->plan->name;
	return weir_fail_no(&run->err, no, WEIR_E_SPILL_FAILED, WEIR_NOPOS, 0, f->node->plan->name,
	        run->plan->set.spill, strerror(no));
}

static int at_limit(const struct spill_file *f)
{
	struct run_context *run = f->node->graph->run;
	uint64_t size = run->plan->set.spill_size;
	char text[32];

	if (size >> 20)
		snprintf(text, sizeof text, "%llu MiB", (unsigned long long)(size >> 20));
	else
		snprintf(text, sizeof text, "%llu KiB", (unsigned long long)(size >> 10));
	run->failed = f->node->plan->name;
	return weir_fail(&run->err, WEIR_E_SPILL_LIMIT, WEIR_NOPOS, 0, f->node->plan->name, text);
}

int spill_file_new(struct node *node, const struct spill_layout *layout, size_t write,
        const struct spill_file *beside, struct spill_file **ret)
{
	struct run_context *run = node->graph->run;
	struct spill_file *f = weir_calloc(run->mem, sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	*f = (struct spill_file){.node = node, .layout = *layout, .write = write};
	r = spill_stream_open(&f->stream, run, beside ? &beside->stream : NULL);
	if (r < 0) {
		r = r == -ENOMEM ? r : failed(f, -r);
		weir_free(run->mem, f, sizeof *f);
		return r;
	}
	*ret = f;
	return 0;
}

void spill_file_free(struct spill_file *f)
{
	struct run_context *run;

	if (!f)
		return;
	run = f->node->graph->run;
	spill_stream_close(&f->stream);
	__atomic_sub_fetch(&run->spilled, f->size, __ATOMIC_RELAXED);
	weir_free(run->mem, f->buf, f->buf_size);
	weir_free(run->mem, f, sizeof *f);
}

int spill_try(const struct plan *p, const struct rights *rights, struct weir_err *err)
{
	int fd = rights_open(rights, p->set.spill, O_TMPFILE | O_EXCL | O_RDWR, 0600);

	if (fd < 0)
		return weir_fail_no(err, -fd, WEIR_E_CANNOT_OPEN, p->set.spill_pos,
		        (uint32_t)strlen(p->set.spill), p->set.spill, strerror(-fd));
	close(fd);
	return 0;
}

/* ---- writing ---- */

/* Writes the first n bytes of the buffer. */
static int write_out(struct spill_file *f, size_t n)
{
	struct run_context *run = f->node->graph->run;
	uint64_t now = __atomic_add_fetch(&run->spilled, n, __ATOMIC_RELAXED);
	int r;

	if (now > run->plan->set.spill_size) {
		__atomic_sub_fetch(&run->spilled, n, __ATOMIC_RELAXED);
		return at_limit(f);
	}
	if (now > __atomic_load_n(&run->spill_peak, __ATOMIC_RELAXED))
		__atomic_store_n(&run->spill_peak, now, __ATOMIC_RELAXED);
	r = spill_stream_write(&f->stream, f->buf, n, f->size);
	f->size += n;
	if (r < 0)
		return r == -ENOMEM ? r : failed(f, -r);
	f->len -= n;
	memmove(f->buf, f->buf + n, f->len);
	return 0;
}

/* At most `block` of the rows, in *n how many. */
static int put_block(struct spill_file *f, struct weir_batch *b, const uint16_t *rows,
        const uint64_t *place, uint32_t *n)
{
	struct run_context *run = f->node->graph->run;
	size_t room = spill_block_room(&f->layout, b, rows, n);
	uint8_t *buf;

	if (room > UINT32_MAX / 2)
		return -ENOMEM;
	if (f->len + room > f->buf_size) {
		size_t size = room + (f->len > f->write ? f->len : f->write);

		buf = weir_realloc(run->mem, f->buf, f->buf_size, size);
		if (!buf)
			return -ENOMEM;
		f->buf = buf;
		f->buf_size = size;
	}
	f->len =
	        (size_t)(spill_block_put(&f->layout, b, rows, place, *n, f->buf + f->len) - f->buf);
	if (f->len < f->write)
		return 0;
	/* up to the end of a page of the file, so that each is written once */
	return write_out(f, f->write < PAGE ? f->len : f->len - (f->size + f->len) % PAGE);
}

int spill_file_write(struct spill_file *f, struct weir_batch *b, const uint16_t *rows,
        const uint64_t *place, uint32_t n, uint32_t block)
{
	int r = 0;

	for (uint32_t i = 0; i < f->layout.nfields; i++)
		if (!weir_batch_col(b, f->layout.fields[i]))
			return -ENOMEM;
	for (uint32_t at = 0; at < n && r == 0;) {
		uint32_t m = n - at < block ? n - at : block;

		r = put_block(f, b, rows + at, place ? place + at : NULL, &m);
		at += m;
	}
	return r;
}

int spill_hand_on(struct spill_file *to, struct weir_node *node, struct weir_batch *b,
        const uint64_t *place, uint32_t n, uint32_t block)
{
	uint16_t rows[WEIR_BATCH_ROWS];
	int r;

	if (!b)
		return 0;
	b->n = b->nsel = (uint16_t)n;
	if (!to)
		return weir_emit(node, 0, b);
	for (uint32_t k = 0; k < n; k++)
		rows[k] = (uint16_t)k;
	r = spill_file_write(to, b, rows, place, n, block);
	weir_batch_unref(b);
	return r;
}

int spill_file_settle(struct spill_file *f)
{
	int r = f->len ? write_out(f, f->len) : 0;

	weir_free(f->node->graph->run->mem, f->buf, f->buf_size);
	f->buf = NULL;
	f->buf_size = 0;
	return r;
}

/* ---- reading ---- */

int spill_reader_open(struct spill_reader *r, const struct spill_range *range, size_t read)
{
	struct spill_file *f = range->file;

	*r = (struct spill_reader){.file = f, .at = range->from, .end = range->to, .read = read};
	r->column =
	        weir_calloc(f->node->graph->run->mem, (f->layout.nfields + 1) * sizeof *r->column);
	return r->column ? 0 : -ENOMEM;
}

void spill_reader_close(struct spill_reader *r)
{
	if (r->file) {
		struct weir_mem *mem = r->file->node->graph->run->mem;

		weir_free(mem, r->column, (r->file->layout.nfields + 1) * sizeof *r->column);
		grow_free(mem, r->buf, r->buf_size);
	}
	*r = (struct spill_reader){0};
}

/* At least `want` bytes in buf. */
static int fetch(struct spill_reader *r, size_t want)
{
	size_t have = r->len - r->from;
	uint8_t *buf;

	if (have >= want)
		return 0;
	buf = grow(r->file->node->graph->run->mem, r->buf, &r->buf_size,
	        want > r->read ? want : r->read);
	if (!buf)
		return -ENOMEM;
	r->buf = buf;
	memmove(buf, buf + r->from, have);
	r->from = 0;
	r->len = have;
	while (r->len < want) {
		size_t most = r->buf_size - r->len;
		ssize_t n;

		if (most > r->end - r->at)
			most = r->end - r->at;
		n = most ? spill_stream_read(&r->file->stream, buf + r->len, most, r->at) : -EIO;
		if (n < 0)
			return failed(r->file, (int)-n);
		r->at += (uint64_t)n;
		r->len += (size_t)n;
	}
	return 0;
}

/* The head of the next block, which is in memory then; 1, 0 at the end, -errno. */
static int next_head(struct spill_reader *r, struct spill_head *h)
{
	int rc;

	if (r->at == r->end && r->from == r->len)
		return 0;
	rc = fetch(r, sizeof *h);
	if (rc < 0)
		return rc;
	memcpy(h, r->buf + r->from, sizeof *h);
	rc = fetch(r, h->bytes);
	return rc < 0 ? rc : 1;
}

static void take(struct spill_reader *r, const struct spill_head *h, uint64_t *place)
{
	spill_block_parse(&r->file->layout, r->buf + r->from, h->rows, r->column, place);
	r->from += h->bytes;
}

int spill_reader_block(struct spill_reader *r, uint64_t *place)
{
	struct spill_head h;
	int rc = next_head(r, &h);

	if (rc <= 0)
		return rc;
	take(r, &h, place);
	return h.rows;
}

static struct weir_batch *new_batch(const struct spill_file *f, uint32_t rows)
{
	struct weir_batch *b = pool_batch(f->node->graph->pool, f->layout.schema, rows);

	if (b && spill_batch_own(&f->layout, b) < 0) {
		weir_batch_unref(b);
		return NULL;
	}
	return b;
}

int spill_reader_next(
        struct spill_reader *r, uint32_t most, struct weir_batch **ret, uint64_t *place)
{
	struct weir_batch *b = NULL;
	struct spill_head h;
	uint32_t n = 0;
	int rc;

	while ((rc = next_head(r, &h)) > 0 && n + h.rows <= most) {
		if (!b && !(b = new_batch(r->file, most))) {
			rc = -ENOMEM;
			break;
		}
		take(r, &h, place + n);
		rc = spill_block_get(&r->file->layout, r->column, h.rows, b, n);
		if (rc < 0)
			break;
		n += h.rows;
	}
	if (rc < 0 || !b) {
		weir_batch_unref(b);
		return rc;
	}
	spill_batch_tidy(&r->file->layout, b, n);
	b->n = b->nsel = (uint16_t)n;
	*ret = b;
	return 1;
}
