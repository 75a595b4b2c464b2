/* SPDX-License-Identifier: MIT */
/* result.c: life of a result, its writer's side, single records. See store.h for the locks. */
#include "engine/core/mem.h"
#include "engine/store/store.h"

#include "engine/store/render_cell.h"
#include <stdlib.h>

/* ---- life ---- */

static void result_free(struct result *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->tail)
		tail_put(r, r->tail);
	table_release(r);
	log_release(r);
	pthread_mutex_unlock(&r->lock);
	while (r->workers) {
		struct worker *w = r->workers;

		r->workers = w->next;
		worker_free(w);
	}
	for (int f = 0; f < FORMATS; f++)
		text_release(&r->header[f]);
	keep_release(&r->keep);
	weir_schema_unref(r->schema);
	free(r->shown);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->listen_lock);
	mem_unref(r->mem);
	free(r);
}

struct result *result_new(
        const struct weir_schema *schema, bool log, uint64_t retain, struct weir_mem *mem)
{
	struct result *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->listen_lock, NULL);
	r->refs = 1;
	r->log = log;
	r->retain = retain ? retain : 1;
	r->seal_bytes = SEAL_BYTES;
	if (log && retain / 16 < SEAL_BYTES)
		r->seal_bytes = retain / 16 > 256 ? retain / 16 : 256;
	r->schema = weir_schema_ref(schema);
	r->mem = mem_ref(mem);
	for (uint32_t i = 0; i < schema->nfields; i++)
		r->has_packets |= (schema->fields[i].flags & WEIR_FIELD_PACKET) &&
		                  schema->fields[i].kind == WEIR_BYTES;
	r->shown = malloc((schema->nfields + 1) * sizeof *r->shown);
	if (!r->shown)
		goto fail;
	r->nshown = render_shown(schema, r->shown);
	if (keep_init(&r->keep, schema, r->shown, r->nshown) < 0)
		goto fail;
	r->tail = tail_new(&r->keep, seal_rows(0), mem);
	if (!r->tail)
		goto fail;
	return r;
fail:
	result_free(r);
	return NULL;
}

struct result *result_ref(struct result *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void result_unref(struct result *r)
{
	if (r && __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0)
		result_free(r);
}

void block_put(struct result *r, struct block *b)
{
	if (b && --b->refs == 0) {
		r->typed -= b->size;
		block_free(b, r->mem);
	}
}

void tail_put(struct result *r, struct tail *t)
{
	if (t && --t->refs == 0)
		tail_free(t, r->mem);
}

/* ---- workers ---- */

struct worker *worker_get(struct result *r)
{
	struct worker *w;

	pthread_mutex_lock(&r->lock);
	w = r->workers;
	if (w) {
		r->workers = w->next;
		r->nworkers--;
	}
	pthread_mutex_unlock(&r->lock);
	if (w)
		return w;
	w = calloc(1, sizeof *w);
	if (w && view_init(&w->view, &r->keep) < 0) {
		free(w);
		return NULL;
	}
	return w;
}

void worker_free(struct worker *w)
{
	for (int f = 0; f < FORMATS; f++)
		if (w->ready[f])
			render_release(&w->render[f]);
	text_release(&w->text);
	view_release(&w->view);
	free(w);
}

void worker_put(struct result *r, struct worker *w)
{
	if (!w)
		return;
	if (w->text.cap > 4u * SEAL_BYTES)
		text_release(&w->text);
	pthread_mutex_lock(&r->lock);
	if (r->nworkers < WORKERS) {
		w->next = r->workers;
		r->workers = w;
		r->nworkers++;
		w = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	if (w)
		worker_free(w);
}

/* ---- the writer ---- */

/* A large batch becomes a block as it is. False: it goes by the tail. */
static bool log_add_block(struct result *r, struct weir_batch *b)
{
	struct block *p;
	int ret;

	if (r->tail->filled || weir_batch_count(b) < WEIR_BATCH_ROWS / 2)
		return false;
	p = batch_pack(&r->keep, b, r->seal_bytes, r->mem);
	if (!p)
		return false;
	pthread_mutex_lock(&r->lock);
	ret = log_push(r, p);
	if (ret == 0) {
		r->typed += p->size;
		r->tail->first = r->rows;
		log_retain(r);
	} else {
		block_free(p, r->mem);
	}
	pthread_mutex_unlock(&r->lock);
	return ret == 0;
}

static int log_seal(struct result *r)
{
	struct tail *fresh = NULL;
	struct block *b = tail_pack(r->tail, &r->keep, r->mem);
	uint32_t want;
	int ret;

	if (!b)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	want = seal_rows(r->head + r->nblocks + 1);
	if (r->tail->refs > 1 || r->tail->cap < want) {
		/* a reader may let go meanwhile; the fresh one is taken all the same */
		pthread_mutex_unlock(&r->lock);
		fresh = tail_new(&r->keep, want, r->mem);
		pthread_mutex_lock(&r->lock);
		if (!fresh) {
			block_free(b, r->mem);
			pthread_mutex_unlock(&r->lock);
			return -ENOMEM;
		}
	}
	ret = log_push(r, b);
	if (ret < 0) {
		block_free(b, r->mem);
		tail_free(fresh, r->mem);
	} else {
		r->typed += b->size;
		if (fresh) {
			tail_put(r, r->tail);
			r->tail = fresh;
		} else {
			tail_reset(r->tail, r->mem);
		}
		r->tail->first = r->rows;
		log_retain(r);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

/* At the query's limit: what is oldest goes. False: there is nothing. */
static bool shed(struct result *r)
{
	bool some;

	if (!r->log)
		return table_shed(r);
	pthread_mutex_lock(&r->lock);
	some = log_shed(r);
	pthread_mutex_unlock(&r->lock);
	return some;
}

/* The link type of a log's first packet is that of its out.pcap. */
static int first_link(struct result *r, struct weir_batch *b)
{
	int f = weir_schema_find(r->schema, "linktype", 8);
	uint16_t link = 1;

	if (f >= 0 && r->schema->fields[f].kind == WEIR_U64) {
		const struct weir_col *c = weir_batch_col(b, (uint32_t)f);
		uint32_t row = weir_batch_row(b, 0);

		if (!c)
			return -ENOMEM;
		if (weir_col_has(c, row))
			link = (uint16_t)weir_col_u64(c)[row];
	}
	pthread_mutex_lock(&r->lock);
	r->linktype = link;
	r->link_known = true;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

void result_end(struct result *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->log && r->has_packets && !r->link_known) {
		r->linktype = 1; /* LINKTYPE_ETHERNET, as render_end() has it */
		r->link_known = true;
	}
	r->ended = true;
	pthread_mutex_unlock(&r->lock);
	result_tell(r);
}

int result_add(struct result *r, struct weir_batch *b)
{
	uint32_t k = 0, count = weir_batch_count(b);
	int ret = 0;

	if (count && r->log && r->has_packets && !r->link_known && first_link(r, b) < 0)
		return -ENOMEM;
	if (r->log && log_add_block(r, b))
		k = count;
	while (k < count) {
		uint64_t i = r->log ? r->head + r->nblocks : r->nnext;

		ret = tail_append(r->tail, &r->keep, b, k, seal_rows(i), r->seal_bytes, r->mem);
		if (ret == 0)
			ret = r->log ? log_seal(r) : table_seal(r);
		else if (ret > 0)
			k += (uint32_t)ret;
		if (ret < 0 && !shed(r))
			break;
	}
	if (r->log && count) {
		int64_t now = now_ns(CLOCK_REALTIME);

		pthread_mutex_lock(&r->lock);
		r->tail->rows = r->tail->filled;
		r->tail->rows_bytes = r->tail->bytes;
		r->time = now;
		pthread_mutex_unlock(&r->lock);
		result_tell(r);
	}
	return ret < 0 ? ret : 0;
}

/* ---- what it is ---- */

bool result_is_log(const struct result *r)
{
	return r->log;
}

const struct weir_schema *result_schema(const struct result *r)
{
	return r->schema;
}

uint32_t result_shown(const struct result *r, const uint32_t **ret)
{
	*ret = r->shown;
	return r->nshown;
}

bool result_has_packets(const struct result *r)
{
	return r->has_packets;
}

bool result_has_format(const struct result *r, enum result_format f)
{
	return f == FORMAT_PCAP ? r->has_packets : (unsigned)f < FORMATS;
}

uint64_t result_bytes(const struct result *r)
{
	struct result *m = (struct result *)r;
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	n = r->typed + r->text_bytes + r->tail->size + r->tail->rows_bytes;
	pthread_mutex_unlock(&m->lock);
	return n;
}

/* ---- one record ---- */

static void value_text(
        const struct weir_field *f, const struct weir_value *v, bool line, struct text *to)
{
	size_t need = WEIR_PRINT_MAX;
	union weir_datum d = v->d;
	char *p;

	if (weir_storage_of(f->kind) == WEIR_VAR)
		need += 2 * d.s.len;
	p = text_reserve(to, need);
	if (!p)
		return;
	if (f->kind == WEIR_STR && line)
		text_grown(to, (size_t)(render_tsv_str(p, d.s.p, d.s.len) - p));
	else
		text_grown(to, (size_t)(weir_kind_print(f->kind, &d, f->digits, p) - p));
}

static int field_value(
        const struct result *r, struct weir_batch *b, uint32_t field, struct weir_value *ret)
{
	if (r->keep.col[field] < 0 || weir_batch_value(b, field, 0, ret) < 0 ||
	        ret->kind == WEIR_NONE)
		return -ENODATA;
	return 0;
}

/* The value (field >= 0) or the lines of the batch's row 0. */
static int row_text(struct result *r, struct weir_batch *b, int field, struct text *to)
{
	const struct weir_field *fields = r->schema->fields;
	struct weir_value v;

	if (field >= 0) {
		if ((uint32_t)field >= r->schema->nfields ||
		        field_value(r, b, (uint32_t)field, &v) < 0)
			return -ENODATA;
		value_text(&fields[field], &v, false, to);
		return to->failed ? -ENOMEM : 0;
	}
	for (uint32_t i = 0; i < r->nshown; i++) {
		const struct weir_field *f = &fields[r->shown[i]];
		size_t len = strlen(f->name);
		char *p;

		if (field_value(r, b, r->shown[i], &v) < 0)
			continue;
		p = text_reserve(to, 2 * len);
		if (!p)
			break;
		text_grown(to, (size_t)(render_tsv_str(p, (const uint8_t *)f->name, len) - p));
		text_puts(to, ": ");
		value_text(f, &v, true, to);
		text_puts(to, "\n");
	}
	return to->failed ? -ENOMEM : 0;
}

int ask_answer(struct result *r, struct worker *w, const struct ask *a)
{
	struct weir_batch *b = &w->view.batch;
	int ret;

	if (!a->sizes) {
		ret = row_text(r, b, a->field, a->to);
		return ret < 0 ? ret : 1;
	}
	ret = worker_ready(r, w, FORMAT_TSV);
	if (ret == 0)
		ret = render_lines_measure(&w->render[FORMAT_TSV], b, a->sizes);
	return ret < 0 ? ret : (int)weir_batch_count(b);
}

static int ask(struct result *r, struct snapshot *s, uint64_t row, const struct ask *a)
{
	if (s)
		return snapshot_record(s, row, a);
	return r->log ? log_record(r, row, a) : -ENOENT;
}

int result_record(struct result *r, struct snapshot *s, uint64_t row, int field, struct text *to)
{
	int ret = ask(r, s, row, &(struct ask){.field = field, .to = to, .n = 1});

	return ret < 0 ? ret : 0;
}

int result_record_sizes(
        struct result *r, struct snapshot *s, uint64_t row, uint32_t n, uint64_t *to)
{
	return ask(r, s, row, &(struct ask){.field = -1, .sizes = to, .n = n});
}
