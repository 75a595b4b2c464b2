/* SPDX-License-Identifier: MIT */
/* spill_file.c: blocks are { bytes, rows, mark } and then, for each field, a bitmap of the rows
 * that have it, and its values: as they lie in memory, or the lengths of texts and then the texts.
 * They are read by the process that wrote them, so they have no order of bytes or version to tell.
 */
#include "engine/core/spill_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/core/grow.h"

#define WRITE_BYTES ((size_t)64 << 10) /* at once; and what a block of long texts is held to */
#define READ_BYTES ((size_t)16 << 10)

struct head {
	uint32_t bytes; /* of the block behind this */
	uint16_t rows;
	uint8_t mark;
};

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

int spill_file_new(struct node *node, const struct weir_schema *schema, const uint32_t *fields,
        uint32_t nfields, struct spill_file **ret)
{
	struct run_context *run = node->graph->run;
	struct spill_file *f = weir_calloc(run->mem, sizeof *f);

	if (!f)
		return -ENOMEM;
	*f = (struct spill_file){node, schema, fields, nfields, .fd = -1};
	f->fd = rights_open(&run->rights, run->plan->set.spill, O_TMPFILE | O_EXCL | O_RDWR, 0600);
	if (f->fd < 0) {
		int r = failed(f, -f->fd);

		spill_file_free(f);
		return r;
	}
	__atomic_add_fetch(&run->spill_files, 1, __ATOMIC_RELAXED);
	*ret = f;
	return 0;
}

void spill_file_free(struct spill_file *f)
{
	struct run_context *run;

	if (!f)
		return;
	run = f->node->graph->run;
	if (f->fd >= 0)
		close(f->fd);
	__atomic_sub_fetch(&run->spilled, f->size, __ATOMIC_RELAXED);
	grow_free(run->mem, f->buf, f->buf_size);
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

static int write_out(struct spill_file *f)
{
	struct run_context *run = f->node->graph->run;
	uint64_t now = __atomic_add_fetch(&run->spilled, f->len, __ATOMIC_RELAXED);
	size_t done = 0;

	if (now > run->plan->set.spill_size) {
		__atomic_sub_fetch(&run->spilled, f->len, __ATOMIC_RELAXED);
		return at_limit(f);
	}
	if (now > __atomic_load_n(&run->spill_peak, __ATOMIC_RELAXED))
		__atomic_store_n(&run->spill_peak, now, __ATOMIC_RELAXED);
	f->size += f->len;
	while (done < f->len) {
		ssize_t n = pwrite(
		        f->fd, f->buf + done, f->len - done, (off_t)(f->size - f->len + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(f, n < 0 ? errno : ENOSPC);
		done += (size_t)n;
	}
	f->len = 0;
	return 0;
}

static size_t bitmap(uint32_t n)
{
	return (n + 7) / 8;
}

/* Bytes of the first *n rows as a block; of fewer, in *n, where texts are long. */
static size_t block_size(
        const struct spill_file *f, struct weir_batch *b, const uint16_t *rows, uint32_t *n)
{
	size_t row = 0, size = 0;
	uint32_t k;

	for (uint32_t i = 0; i < f->nfields; i++) {
		enum weir_kind kind = f->schema->fields[f->fields[i]].kind;

		row += weir_storage_of(kind) == WEIR_VAR ? 4 : weir_kind_size(kind);
	}
	for (k = 0; k < *n && (!k || size < WRITE_BYTES); k++) {
		size += row;
		for (uint32_t i = 0; i < f->nfields; i++) {
			const struct weir_col *c = &b->cols[f->fields[i]];

			if (weir_storage_of(c->kind) == WEIR_VAR && weir_col_has(c, rows[k]))
				size += weir_col_str(c)[rows[k]].len;
		}
	}
	*n = k;
	return size + f->nfields * bitmap(k);
}

static uint8_t *put_column(uint8_t *to, const struct weir_col *c, const uint16_t *rows, uint32_t n)
{
	size_t size = weir_kind_size(c->kind);
	bool text = weir_storage_of(c->kind) == WEIR_VAR;
	uint8_t *bits = to;

	memset(bits, 0, bitmap(n));
	to += bitmap(n);
	for (uint32_t k = 0; k < n; k++)
		bits[k / 8] |= (uint8_t)(weir_col_has(c, rows[k]) << k % 8);
	for (uint32_t k = 0; k < n && !text; k++, to += size) {
		if (bits[k / 8] >> k % 8 & 1)
			memcpy(to, (const uint8_t *)c->data + rows[k] * size, size);
		else
			memset(to, 0, size);
	}
	for (uint32_t k = 0; k < n && text; k++, to += 4) {
		uint32_t len =
		        bits[k / 8] >> k % 8 & 1 ? (uint32_t)weir_col_str(c)[rows[k]].len : 0;

		memcpy(to, &len, 4);
	}
	for (uint32_t k = 0; k < n && text; k++) {
		const struct weir_str *s = &weir_col_str(c)[rows[k]];

		if (!(bits[k / 8] >> k % 8 & 1) || !s->len)
			continue;
		memcpy(to, s->p, s->len);
		to += s->len;
	}
	return to;
}

static int put_block(struct spill_file *f, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        size_t size, uint8_t mark)
{
	struct head h = {.bytes = (uint32_t)size, .rows = (uint16_t)n, .mark = mark};
	struct run_context *run = f->node->graph->run;
	uint8_t *buf;

	if (size > UINT32_MAX / 2)
		return -ENOMEM;
	buf = grow(run->mem, f->buf, &f->buf_size, f->len + sizeof h + size);
	if (!buf)
		return -ENOMEM;
	f->buf = buf;
	buf += f->len;
	memcpy(buf, &h, sizeof h);
	buf += sizeof h;
	for (uint32_t i = 0; i < f->nfields; i++)
		buf = put_column(buf, &b->cols[f->fields[i]], rows, n);
	f->len += sizeof h + size;
	f->rows += n;
	return f->len >= WRITE_BYTES ? write_out(f) : 0;
}

int spill_file_write(struct spill_file *f, struct weir_batch *b, const uint16_t *rows, uint32_t n,
        uint32_t block, uint8_t mark)
{
	int r = 0;

	for (uint32_t i = 0; i < f->nfields; i++)
		if (!weir_batch_col(b, f->fields[i]))
			return -ENOMEM;
	for (uint32_t at = 0; at < n && r == 0;) {
		uint32_t m = n - at < block ? n - at : block;
		size_t size = block_size(f, b, rows + at, &m);

		r = put_block(f, b, rows + at, m, size, mark);
		at += m;
	}
	return r;
}

/* ---- reading ---- */

int spill_reader_open(struct spill_reader *r, struct spill_file *f, uint32_t most)
{
	int ret = f->len ? write_out(f) : 0;

	*r = (struct spill_reader){.file = f, .most = most, .end = f->size};
	return ret;
}

void spill_reader_close(struct spill_reader *r)
{
	if (r->file)
		grow_free(r->file->node->graph->run->mem, r->buf, r->buf_size);
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
	        want > READ_BYTES ? want : READ_BYTES);
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
		n = pread(r->file->fd, buf + r->len, most, (off_t)r->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(r->file, n < 0 ? errno : EIO);
		r->at += (uint64_t)n;
		r->len += (size_t)n;
	}
	return 0;
}

/* Rows at … at + n - 1 of the batch's column. */
static const uint8_t *get_column(
        const uint8_t *from, struct weir_batch *b, struct weir_col *c, uint32_t at, uint32_t n)
{
	size_t size = weir_kind_size(c->kind);
	const uint8_t *bits = from;
	struct weir_str *s = (struct weir_str *)c->data + at;

	from += bitmap(n);
	for (uint32_t k = 0; k < n; k++)
		if (bits[k / 8] >> k % 8 & 1)
			weir_valid_set(c->valid, at + k);
	if (weir_storage_of(c->kind) != WEIR_VAR) {
		memcpy((uint8_t *)c->data + at * size, from, n * size);
		return from + n * size;
	}
	for (uint32_t k = 0; k < n; k++) {
		uint32_t len;

		memcpy(&len, from + k * 4, 4);
		s[k].len = len;
	}
	from += n * 4;
	for (uint32_t k = 0; k < n; k++) {
		uint8_t *p = weir_batch_alloc(b, s[k].len);

		if (!p)
			return NULL;
		if (s[k].len)
			memcpy(p, from, s[k].len);
		s[k].p = p;
		from += s[k].len;
	}
	return from;
}

static struct weir_batch *new_batch(const struct spill_reader *r)
{
	const struct spill_file *f = r->file;
	struct weir_batch *b = pool_batch(f->node->graph->pool, f->schema, r->most);

	for (uint32_t i = 0; b && i < f->nfields; i++) {
		struct weir_col *c = weir_batch_own(b, f->fields[i]);

		if (!c || !weir_batch_own_valid(b, c)) {
			weir_batch_unref(b);
			return NULL;
		}
	}
	return b;
}

static int get_block(
        struct spill_reader *r, struct weir_batch *b, const struct head *h, uint32_t at)
{
	const struct spill_file *f = r->file;
	const uint8_t *from = r->buf + r->from + sizeof *h;

	for (uint32_t i = 0; i < f->nfields; i++) {
		from = get_column(from, b, &b->cols[f->fields[i]], at, h->rows);
		if (!from)
			return -ENOMEM;
	}
	r->from += sizeof *h + h->bytes;
	return 0;
}

int spill_reader_next(struct spill_reader *r, struct weir_batch **ret, uint8_t *ret_mark)
{
	struct weir_batch *b = NULL;
	uint32_t n = 0;
	int rc = 0;

	while (r->at < r->end || r->from < r->len) {
		struct head h;

		rc = fetch(r, sizeof h);
		if (rc < 0)
			break;
		memcpy(&h, r->buf + r->from, sizeof h);
		if (b && (h.mark != *ret_mark || n + h.rows > r->most))
			break;
		rc = fetch(r, sizeof h + h.bytes);
		if (rc == 0 && !b && !(b = new_batch(r)))
			rc = -ENOMEM;
		if (rc == 0)
			rc = get_block(r, b, &h, n);
		if (rc < 0)
			break;
		*ret_mark = h.mark;
		n += h.rows;
	}
	if (rc < 0 || !b) {
		weir_batch_unref(b);
		return rc;
	}
	b->n = b->nsel = (uint16_t)n;
	*ret = b;
	return 1;
}
