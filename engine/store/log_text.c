/* SPDX-License-Identifier: MIT */
/* log_text.c: a log's text by offset.
 *
 * Positions of blocks are found by measuring, once for each block and format, when somebody asks
 * for a size or reads on (struct extent). Reading an offset is then a binary search and a copy from
 * a rendered piece. The lock is held for bookkeeping only.
 */
#include "engine/store/log.h"

#include <stdlib.h>

/* ---- rendered pieces ---- */

void piece_put(struct result *r, struct piece *p)
{
	if (p && --p->refs == 0) {
		r->text_bytes -= sizeof *p + p->len;
		free(p);
	}
}

/* Block `seq` in format f, moved to the front; a reference is the caller's. */
static struct piece *piece_find(struct result *r, enum result_format f, uint64_t seq)
{
	for (int i = 0; i < TEXTS && r->texts[i]; i++) {
		struct piece *p = r->texts[i];

		if (p->seq != seq || p->format != f)
			continue;
		memmove(r->texts + 1, r->texts, (size_t)i * sizeof *r->texts);
		r->texts[0] = p;
		p->refs++;
		return p;
	}
	return NULL;
}

/* Takes over the caller's piece as the newest; gives a reference back to it. */
static void piece_keep(struct result *r, struct piece *p)
{
	size_t bytes = 0;
	int n = 0;

	for (int i = 0; i < TEXTS && r->texts[i]; i++) {
		struct piece *old = r->texts[i];

		/* an older state of the same block gives way */
		if ((old->seq == p->seq && old->format == p->format) || i == TEXTS - 1 ||
		        bytes + old->len + p->len > TEXTS_BYTES) {
			piece_put(r, old);
			continue;
		}
		bytes += old->len;
		r->texts[n++] = old;
	}
	for (int i = n; i < TEXTS; i++)
		r->texts[i] = NULL;
	memmove(r->texts + 1, r->texts, (TEXTS - 1) * sizeof *r->texts);
	r->texts[0] = p;
	p->refs++;
	r->text_bytes += sizeof *p + p->len;
}

int worker_ready(struct result *r, struct worker *w, enum result_format f)
{
	int ret;

	if (!w->ready[f]) {
		ret = render_init(&w->render[f], f, r->schema, r->shown, r->nshown);
		if (ret < 0)
			return ret;
		w->ready[f] = true;
		if (f == FORMAT_PCAP) { /* known: there are rows */
			w->render[f].linktype = r->linktype;
			w->render[f].started = true;
		}
	}
	return 0;
}

/* Renders rows [from, h->rows) into w->text; without the lock. */
static int render_rows(struct result *r, struct worker *w, enum result_format f,
        const struct held *h, uint32_t from)
{
	int ret;

	text_clear(&w->text);
	if (from == h->rows)
		return 0;
	ret = worker_ready(r, w, f);
	if (ret < 0)
		return ret;
	ret = log_view(w, h, from, h->rows, -1);
	if (ret == 0)
		ret = render_batch(&w->render[f], &w->view.batch, &w->text);
	return ret < 0 || !w->text.failed ? ret : -ENOMEM;
}

/* The text of block (or tail) `seq`, all rows that are there. Called with the lock held, which it
 * drops meanwhile. *ret is a reference. */
static int piece_get(
        struct result *r, struct worker *w, enum result_format f, uint64_t seq, struct piece **ret)
{
	struct piece *old = piece_find(r, f, seq), *p = NULL;
	struct held h;
	int e;

	log_hold(r, seq, &h);
	if (old && old->rows == h.rows) {
		log_let_go(r, &h);
		*ret = old;
		return 0;
	}
	pthread_mutex_unlock(&r->lock);
	e = render_rows(r, w, f, &h, old ? old->rows : 0);
	if (e == 0) {
		size_t before = old ? old->len : 0;

		p = malloc(sizeof *p + before + w->text.len);
		if (p) {
			*p = (struct piece){.refs = 1,
			        .rows = h.rows,
			        .format = f,
			        .seq = seq,
			        .len = before + w->text.len};
			if (before)
				memcpy(p->data, old->data, before);
			if (w->text.len)
				memcpy(p->data + before, w->text.p, w->text.len);
		} else {
			e = -ENOMEM;
		}
	}
	pthread_mutex_lock(&r->lock);
	log_let_go(r, &h);
	piece_put(r, old);
	if (e < 0)
		return e;
	piece_keep(r, p);
	*ret = p;
	return 0;
}

/* ---- positions ---- */

/* The first `rows` rows of block hi are known to take `len` bytes. */
static void extent_learn(
        struct result *r, struct extent *x, uint64_t seq, uint32_t rows, int64_t len)
{
	if (seq != x->hi)
		return;
	if (x->part_seq != seq || rows > x->part_rows) {
		x->part_seq = seq;
		x->part_rows = rows;
		x->part_len = len;
	}
	if (seq < log_tail_seq(r) && x->part_rows == log_block(r, seq)->rows) {
		log_block(r, seq)->pos[x - r->extent] = x->end;
		x->end += x->part_len;
		x->hi++;
		x->part_seq = UINT64_MAX;
	}
}

/* What is known past `end`. */
static int64_t extent_part(const struct extent *x)
{
	return x->part_seq == x->hi ? x->part_len : 0;
}

static void extent_start(struct extent *x, uint64_t seq)
{
	*x = (struct extent){.started = true,
	        .lo = seq,
	        .hi = seq,
	        .broken = x->broken,
	        .part_seq = UINT64_MAX,
	        .turn = x->turn + 1};
}

/* Measures rows [from, all) of block `seq`; drops the lock meanwhile. The length or -errno. */
static int64_t measure(struct result *r, struct worker *w, enum result_format f, uint64_t seq,
        uint32_t from, uint32_t *ret_rows)
{
	struct held h;
	int64_t n = 0;
	int e;

	log_hold(r, seq, &h);
	pthread_mutex_unlock(&r->lock);
	e = from < h.rows ? worker_ready(r, w, f) : 0;
	if (e == 0 && from < h.rows)
		e = log_view(w, &h, from, h.rows, -1);
	if (e == 0 && from < h.rows)
		n = render_measure(&w->render[f], &w->view.batch);
	*ret_rows = h.rows;
	pthread_mutex_lock(&r->lock);
	log_let_go(r, &h);
	return e < 0 ? e : n;
}

/* One step towards positions known from block `from` to row `rows` of block `to`: 1 if a step was
 * made (the lock was dropped), 0 if nothing is left to do. */
static int measure_step(struct result *r, struct worker *w, enum result_format f, uint64_t from,
        uint64_t to, uint32_t rows)
{
	struct extent *x = &r->extent[f];
	uint32_t part, got;
	int64_t n;

	if (from < r->head)
		from = r->head;
	if (!x->started)
		extent_start(x, from);
	if (from < x->lo) {
		uint64_t seq = x->lo - 1;

		n = measure(r, w, f, seq, 0, &got);
		if (n < 0)
			return (int)n;
		if (x->started && x->lo == seq + 1 && seq >= r->head) {
			struct block *b = log_block(r, seq);

			b->pos[f] = (x->lo == x->hi ? x->end : log_block(r, x->lo)->pos[f]) - n;
			x->lo = seq;
		}
		return 1;
	}
	part = x->part_seq == x->hi ? x->part_rows : 0;
	if (x->hi > to || (x->hi == to && part >= rows))
		return 0;
	to = x->hi;
	n = measure(r, w, f, to, part, &got);
	if (n < 0)
		return (int)n;
	/* another reader may have been faster */
	if (x->started && x->hi == to && (x->part_seq == to ? x->part_rows : 0) == part)
		extent_learn(r, x, to, got, (part ? x->part_len : 0) + n);
	return 1;
}

/* Position of the base; positions from there on must have been measured. -ESTALE. */
static int base_pos(struct result *r, enum result_format f, uint64_t row, int64_t *ret)
{
	struct extent *x = &r->extent[f];
	struct epoch *e;
	uint64_t seq;
	int err = log_base(r, row, &seq, &e);

	if (err < 0)
		return err;
	if (seq >= r->head) {
		*ret = seq >= x->hi ? x->end : log_block(r, seq)->pos[f];
		return 0;
	}
	if (!e || !e->known[f] || seq < x->broken)
		return -ESTALE;
	*ret = e->pos[f];
	return 0;
}

/* The heading; the pcap header is there with the first packet. Its length or -ENOMEM. */
static int64_t header(struct result *r, enum result_format f)
{
	struct text *t = &r->header[f];
	struct render render;

	if (t->len || f == FORMAT_JSON || (f == FORMAT_PCAP && !r->link_known))
		return (int64_t)t->len;
	if (render_init(&render, f, r->schema, r->shown, r->nshown) < 0)
		return -ENOMEM;
	render_header(&render, t);
	if (f == FORMAT_PCAP) {
		render.linktype = r->linktype;
		render_pcap_header(&render, t);
	}
	render_release(&render);
	if (t->failed)
		text_release(t);
	return t->len || f == FORMAT_PCAP ? (int64_t)t->len : -ENOMEM;
}

/* ---- readers ---- */

/* Measures all that there was when called. 0, or -errno; with the lock held. */
static int measure_all(struct result *r, struct worker *w, enum result_format f, uint64_t base)
{
	uint64_t to = log_tail_seq(r), from;
	uint32_t rows = r->tail->rows;
	struct epoch *e;
	int ret;

	do {
		ret = log_base(r, base, &from, &e);
		if (ret == 0 && from < r->head &&
		        (!e || !e->known[f] || from < r->extent[f].broken))
			ret = -ESTALE;
		if (ret == 0)
			ret = measure_step(r, w, f, from, to, rows);
	} while (ret > 0);
	return ret;
}

int64_t log_size(struct result *r, enum result_format f, uint64_t base)
{
	struct worker *w;
	int64_t pos = 0, n;
	int ret;

	if (!r->log || !result_has_format(r, f))
		return -EINVAL;
	w = worker_get(r);
	if (!w)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	ret = measure_all(r, w, f, base);
	if (ret == 0)
		ret = base_pos(r, f, base, &pos);
	n = header(r, f);
	if (ret == 0 && n < 0)
		ret = (int)n;
	n += r->extent[f].end + extent_part(&r->extent[f]) - pos;
	pthread_mutex_unlock(&r->lock);
	worker_put(r, w);
	return ret < 0 ? ret : n;
}

/* The measured block that holds position pos: lo <= it < hi. */
static uint64_t seq_of_pos(struct result *r, enum result_format f, int64_t pos)
{
	uint64_t lo = r->extent[f].lo, hi = r->extent[f].hi - 1;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo + 1) / 2;

		if (log_block(r, mid)->pos[f] <= pos)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

/* Copies from position `pos` what one piece holds: bytes, 0 at the end, -errno. */
static int64_t read_piece(struct result *r, struct worker *w, enum result_format f, int64_t pos,
        char *to, size_t size)
{
	struct extent *x = &r->extent[f];
	uint32_t turn = x->turn;
	struct piece *p;
	uint64_t seq;
	int64_t start;
	size_t n = 0;
	int ret;

	for (;;) {
		int64_t first = x->lo < x->hi ? log_block(r, x->lo)->pos[f] : x->end;
		bool measured = pos < x->end;

		if (pos < first)
			return -ESTALE;
		seq = measured ? seq_of_pos(r, f, pos) : x->hi;
		start = measured ? log_block(r, seq)->pos[f] : x->end;
		ret = piece_get(r, w, f, seq, &p);
		if (ret < 0)
			return ret;
		if (!x->started || x->turn != turn) { /* other positions now */
			piece_put(r, p);
			return -EAGAIN;
		}
		extent_learn(r, x, seq, p->rows, (int64_t)p->len);
		if (pos - start < (int64_t)p->len || x->hi <= seq)
			break;
		/* A later block: the next one, or one that another reader measured meanwhile. */
		piece_put(r, p);
		if (measured)
			return -EIO; /* cannot be: a text shorter than its measure */
	}
	if (pos - start < (int64_t)p->len) {
		n = p->len - (size_t)(pos - start);
		n = n < size ? n : size;
		pthread_mutex_unlock(&r->lock);
		memcpy(to, p->data + (pos - start), n);
		pthread_mutex_lock(&r->lock);
	}
	piece_put(r, p);
	return (int64_t)n;
}

static int64_t read_rows(struct result *r, struct worker *w, enum result_format f, uint64_t base,
        uint64_t off, char *to, size_t size)
{
	size_t done = 0;
	int ret = 0;

	while (done < size) {
		struct epoch *e;
		uint64_t from;
		int64_t pos, n;

		/* at least to the base */
		do {
			ret = log_base(r, base, &from, &e);
			if (ret == 0)
				ret = measure_step(r, w, f, from, from, 0);
		} while (ret > 0);
		if (ret == 0)
			ret = base_pos(r, f, base, &pos);
		if (ret < 0)
			break;
		n = read_piece(r, w, f, pos + (int64_t)(off + done), to + done, size - done);
		if (n == -EAGAIN)
			continue;
		if (n <= 0) {
			ret = (int)n;
			break;
		}
		done += (size_t)n;
	}
	return done ? (int64_t)done : ret;
}

int64_t log_read(
        struct result *r, enum result_format f, uint64_t base, uint64_t off, char *to, size_t size)
{
	size_t done = 0;
	struct worker *w;
	int64_t n = 0, head;

	if (!r->log || !result_has_format(r, f))
		return -EINVAL;
	if (off > INT64_MAX / 4)
		return 0;
	w = worker_get(r);
	if (!w)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	head = header(r, f);
	if (head > (int64_t)off) {
		done = (size_t)head - off < size ? (size_t)head - off : size;
		memcpy(to, r->header[f].p + off, done);
	}
	if (head < 0)
		n = head;
	else if (done < size)
		n = read_rows(r, w, f, base, off + done - (size_t)head, to + done, size - done);
	pthread_mutex_unlock(&r->lock);
	worker_put(r, w);
	return done ? (int64_t)done + (n > 0 ? n : 0) : n;
}
