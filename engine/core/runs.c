/* SPDX-License-Identifier: MIT */
/* runs.c: the heap of a merge holds the runs, by the row at which each of them stands. */
#include "engine/core/runs.h"

#include "engine/core/gather.h"

#define RUN_BYTES (1u << 20) /* of the memory limit, for each run of a merge: a quarter is used */
#define BLOCK 64             /* rows of a run in memory, while it is merged */

#define READ_BYTES ((size_t)16 << 10)
#define WRITE_BYTES ((size_t)64 << 10)

struct cursor {
	struct spill_reader reader;
	struct weir_batch *batch;
	uint32_t row, run;
};

struct merge {
	struct runs *runs;
	uint32_t nruns; /* of them, the last ones */
	struct cursor cursor[RUNS_MERGED];
	struct cursor *heap[RUNS_MERGED]; /* heap[0] stands at the first row of all */
	uint32_t n;
	struct spill_file *to;  /* NULL: to be emitted */
	struct weir_batch *out; /* rows pick[0..k) and, before them, `at` rows */
	struct pick pick[WEIR_BATCH_ROWS];
	uint32_t at, k;
	uint64_t left; /* rows that are still wanted */
};

int runs_init(struct runs *r, struct weir_node *n, const struct weir_fields *key, bool reverse)
{
	const struct plan_node *p = node_of(n)->plan;
	uint64_t most = node_of(n)->graph->run->plan->set.memory / RUN_BYTES;

	*r = (struct runs){.node = n, .key = key, .reverse = reverse};
	r->merged = most < 4 ? 4 : most < RUNS_MERGED ? (uint32_t)most : RUNS_MERGED;
	r->fields_size = (n->out->nfields + 1) * sizeof *r->fields;
	r->fields = weir_calloc(n->mem, r->fields_size);
	if (!r->fields)
		return -ENOMEM;
	for (uint32_t f = 0; f < n->out->nfields; f++)
		if (weir_node_needs(n, f) || bit_get(p->uses, f))
			r->fields[r->nfields++] = f;
	return 0;
}

void runs_release(struct runs *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		spill_file_free(r->run[i]);
	if (r->fields)
		weir_free(r->node->mem, r->fields, r->fields_size);
	*r = (struct runs){0};
}

static struct spill_layout layout_of(const struct runs *r)
{
	return (struct spill_layout){r->node->out, r->fields, r->nfields};
}

/* ---- merging ---- */

static bool has(const struct weir_col *c, uint32_t row)
{
	return weir_col_has(c, row) &&
	       (weir_storage_of(c->kind) != WEIR_ADDR || weir_col_ip(c)[row].family);
}

static union weir_datum datum(const struct weir_col *c, uint32_t row)
{
	union weir_datum d = {.u = 0};

	switch (weir_storage_of(c->kind)) {
	case WEIR_WORD:
		d.u = weir_col_u64(c)[row];
		break;
	case WEIR_ADDR:
		d.ip = weir_col_ip(c)[row];
		break;
	case WEIR_VAR:
		d.s = weir_col_str(c)[row];
		break;
	}
	return d;
}

static bool is_before(const struct runs *r, const struct cursor *a, const struct cursor *b)
{
	for (uint32_t i = 0; i < r->key->n; i++) {
		const struct weir_col *x = &a->batch->cols[r->key->index[i]];
		const struct weir_col *y = &b->batch->cols[r->key->index[i]];
		bool has_x = has(x, a->row), has_y = has(y, b->row);
		union weir_datum u, v;
		int c;

		if (has_x != has_y)
			return has_x;
		if (!has_x)
			continue;
		u = datum(x, a->row);
		v = datum(y, b->row);
		c = weir_kind_compare(x->kind, &u, &v);
		if (c)
			return r->reverse ? c > 0 : c < 0;
	}
	return a->run < b->run;
}

static void sink(struct merge *m, uint32_t i)
{
	for (;;) {
		uint32_t least = i;
		struct cursor *c;

		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < m->n; k++)
			if (is_before(m->runs, m->heap[k], m->heap[least]))
				least = k;
		if (least == i)
			return;
		c = m->heap[i];
		m->heap[i] = m->heap[least];
		m->heap[least] = c;
		i = least;
	}
}

/* Copies the rows that were picked: the batches in which they are can go. */
static int copy(struct merge *m)
{
	const struct runs *r = m->runs;
	int rc = 0;

	for (uint32_t i = 0; i < r->nfields && rc == 0 && m->k; i++)
		rc = gather_field(m->out, r->fields[i], m->at, m->pick, m->k);
	m->at += m->k;
	m->k = 0;
	return rc;
}

static int put_out(struct merge *m)
{
	struct weir_batch *b = m->out;
	uint32_t n = m->at;

	m->out = NULL;
	m->at = 0;
	return spill_hand_on(m->to, m->runs->node, b, NULL, n, BLOCK);
}

static int begin_out(struct merge *m)
{
	struct spill_layout layout = layout_of(m->runs);

	m->out = weir_build(m->runs->node, WEIR_BATCH_ROWS);
	return m->out ? spill_batch_own(&layout, m->out) : -ENOMEM;
}

/* The next row of a cursor: 1, 0 at the end of its run, or -errno. */
static int step(struct cursor *c)
{
	struct weir_batch *old = c->batch;
	uint64_t none[BLOCK];
	int r;

	if (old && ++c->row < old->n)
		return 1;
	c->batch = NULL;
	c->row = 0;
	weir_batch_unref(old);
	r = spill_reader_next(&c->reader, BLOCK, &c->batch, none);
	return r;
}

/* Takes the first row of all. */
static int take(struct merge *m)
{
	struct cursor *c = m->heap[0];
	int r = m->out ? 0 : begin_out(m);

	if (r < 0)
		return r;
	m->pick[m->k++] = (struct pick){c->batch, NULL, c->row};
	m->left--;
	if (c->row + 1u == c->batch->n || m->at + m->k == WEIR_BATCH_ROWS || !m->left)
		r = copy(m);
	if (r == 0 && m->at == WEIR_BATCH_ROWS)
		r = put_out(m);
	if (r == 0)
		r = step(c);
	if (r == 0 && --m->n)
		m->heap[0] = m->heap[m->n];
	if (r >= 0)
		sink(m, 0);
	return r < 0 ? r : 0;
}

static int open_cursors(struct merge *m)
{
	int r = 0;

	for (uint32_t i = 0; i < m->nruns && r >= 0; i++) {
		struct cursor *c = &m->cursor[i];
		struct spill_file *file;

		c->run = i;
		file = m->runs->run[m->runs->n - m->nruns + i];
		r = spill_file_settle(file);
		if (r == 0) {
			struct spill_range all = spill_range_all(file);

			r = spill_reader_open(&c->reader, &all, READ_BYTES);
		}
		if (r == 0)
			r = step(c);
		if (r > 0)
			m->heap[m->n++] = c;
	}
	for (uint32_t i = m->n / 2; i-- > 0 && r >= 0;)
		sink(m, i);
	return r < 0 ? r : 0;
}

/* The first `limit` rows (0: all) of the last `nruns` runs, to a file or, where that is NULL,
 * emitted. */
static int merge(struct runs *runs, uint32_t nruns, struct spill_file *to, uint64_t limit)
{
	struct weir_mem *mem = runs->node->mem;
	struct merge *m = weir_calloc(mem, sizeof *m);
	int r;

	if (!m)
		return -ENOMEM;
	m->runs = runs;
	m->to = to;
	m->nruns = nruns;
	m->left = limit ? limit : UINT64_MAX;
	r = open_cursors(m);
	while (r == 0 && m->n && m->left)
		r = take(m);
	if (r == 0)
		r = copy(m);
	if (r == 0)
		r = put_out(m);
	weir_batch_unref(m->out);
	for (uint32_t i = 0; i < nruns; i++) {
		weir_batch_unref(m->cursor[i].batch);
		spill_reader_close(&m->cursor[i].reader);
	}
	weir_free(mem, m, sizeof *m);
	return r;
}

/* ---- runs ---- */

static int new_run(struct runs *r, struct spill_file **ret)
{
	struct spill_layout layout = layout_of(r);

	return spill_file_new(node_of(r->node), &layout, WRITE_BYTES, r->n ? r->run[0] : NULL, ret);
}

/* The last `n` runs become one. */
static int unite(struct runs *r, uint32_t n)
{
	uint32_t first = r->n - n;
	struct spill_file *to = NULL;
	int rc = new_run(r, &to);

	if (rc == 0)
		rc = merge(r, n, to, 0);
	if (rc < 0) {
		spill_file_free(to);
		return rc;
	}
	for (uint32_t i = first; i < r->n; i++)
		spill_file_free(r->run[i]);
	r->run[first] = to;
	r->level[first]++;
	r->n = first + 1;
	return 0;
}

int runs_emit(struct runs *r, uint64_t limit)
{
	int rc = 0;

	while (rc == 0 && r->n > r->merged) {
		uint32_t over = r->n - r->merged + 1;

		rc = unite(r, over < r->merged ? over : r->merged);
	}
	return rc < 0 ? rc : merge(r, r->n, NULL, limit);
}

/* Rows ids[0..n) of the table as a batch. */
static int write_rows(struct runs *r, const struct coltab *t, const uint32_t *ids, uint32_t n)
{
	struct weir_batch *b = weir_build(r->node, n);
	int rc = b ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < t->layout.n && rc == 0; i++)
		if (!b->cols[t->layout.f[i].field].data) /* a key stands there twice, maybe */
			rc = coltab_gather(t, i, ids, n, b, t->layout.f[i].field);
	if (rc == 0)
		return spill_hand_on(r->run[r->n - 1], r->node, b, NULL, n, BLOCK);
	weir_batch_unref(b);
	return rc;
}

int runs_add(struct runs *r, const struct coltab *t, const uint32_t *ids)
{
	int rc = r->n == RUNS_MAX ? unite(r, r->merged) : 0;

	while (rc == 0 && r->n >= r->merged && r->level[r->n - 1] == r->level[r->n - r->merged])
		rc = unite(r, r->merged);
	if (rc == 0)
		rc = new_run(r, &r->run[r->n]);
	if (rc == 0)
		r->level[r->n++] = 0;
	for (uint32_t at = 0; at < t->n && rc == 0; at += WEIR_BATCH_ROWS)
		rc = write_rows(
		        r, t, ids + at, t->n - at < WEIR_BATCH_ROWS ? t->n - at : WEIR_BATCH_ROWS);
	return rc;
}
