/* SPDX-License-Identifier: MIT */
/* loop.c: a module's loop as callbacks: a fiber that stands still in its reads.
 *
 * process and flush post an event (a batch, a mark) and resume the fiber, which runs until it
 * reads and no event is posted. So the fiber runs only within these calls, the batch it
 * works on is borrowed as process borrows it, and schedulers see a module like any other. Its stack
 * is taken with the first event.
 *
 * A loop cannot be ended from outside, only asked: from the moment it is closed every read returns
 * -ECANCELED and what it emits is dropped. One that reads on nevertheless is left standing
 * after IGNORED_MAX reads; then what it allocated is lost, and nothing else.
 */
#include "engine/core/loop.h"

#include "engine/core/fiber.h"
#include "engine/core/node.h"

#define STACK_DEFAULT (64u << 10)
#define IGNORED_MAX 1000
#define ROWS_FIRST                                                                                 \
	16 /* of a batch of new records; later ones are larger, up to WEIR_BATCH_ROWS              \
	    */

struct loop {
	struct weir_loop pub; /* first */
	struct fiber fiber;
	bool begun;
	bool posted; /* event is there to be read */
	bool over;   /* the end was read */
	bool sated;  /* weir_loop_done() */
	bool lost;   /* not to be resumed any more */
	int event;
	int result;            /* of run */
	struct weir_batch *in; /* of the event, borrowed */
	uint32_t next;         /* record in pub.batch */
	uint32_t ignored;      /* reads after the end */
	/* records collected: rows of a view, or the first ones of a new batch */
	struct weir_batch *out;
	uint16_t *sel;    /* of a view; NULL: new records */
	uint32_t n, rows; /* rows: how many fit */
};

static struct loop *of(struct weir_loop *l)
{
	return (struct loop *)l;
}

static const struct weir_module *module_of(const struct loop *p)
{
	return ((const struct node *)p->pub.node)->plan->module;
}

/* ---- on the fiber ---- */

static int keep_error(struct loop *p, int r)
{
	if (r < 0 && !p->fiber.error)
		p->fiber.error = r;
	return r;
}

static void drop(struct loop *p)
{
	weir_batch_unref(p->out);
	p->out = NULL;
	p->n = 0;
}

/* Also called by the host, when run has returned. */
static int send_out(struct loop *p)
{
	struct weir_batch *b = p->out;

	if (!b)
		return 0;
	if (p->sel)
		weir_batch_select(b, p->sel, p->n);
	else
		b->n = b->nsel = (uint16_t)p->n;
	p->out = NULL;
	p->n = 0;
	return keep_error(p, weir_emit(p->pub.node, 0, b));
}

int weir_loop_flush(struct weir_loop *l)
{
	int r = send_out(of(l));

	return of(l)->fiber.error ? of(l)->fiber.error : r;
}

/* A loop that goes on reading what has ended. */
static int again(struct loop *p, int event)
{
	if (p->ignored++ < IGNORED_MAX)
		return event;
	p->lost = true;
	for (;;)
		fiber_wait(&p->fiber);
}

/* The next event, when there is one. */
static int next_event(struct loop *p)
{
	p->pub.batch = NULL;
	send_out(p);
	if (p->fiber.error)
		return again(p, p->fiber.error);
	if (p->over)
		return again(p, WEIR_LOOP_END);
	if (!p->posted)
		fiber_wait(&p->fiber);
	p->posted = false;
	if (p->fiber.error)
		return p->fiber.error;
	p->over = p->event == WEIR_LOOP_END;
	p->pub.batch = p->in;
	p->in = NULL;
	return p->event;
}

int weir_loop_read(struct weir_loop *l, struct weir_batch **ret)
{
	int got = next_event(of(l));

	if (got != WEIR_LOOP_RECORD)
		return got;
	of(l)->next = weir_batch_count(l->batch);
	if (ret)
		*ret = l->batch;
	return got;
}

int weir_loop_next(struct weir_loop *l)
{
	struct loop *p = of(l);

	if (!l->batch || p->next == weir_batch_count(l->batch)) {
		int got = next_event(p);

		if (got != WEIR_LOOP_RECORD)
			return got;
		p->next = 0;
	}
	l->row = weir_batch_row(l->batch, p->next++);
	return WEIR_LOOP_RECORD;
}

void weir_loop_done(struct weir_loop *l)
{
	of(l)->sated = true;
}

/* ---- records collected ---- */

/* Places for the fields that the module sets and somebody reads. */
static int own_columns(struct loop *p)
{
	const struct weir_node *n = p->pub.node;
	struct weir_batch *b = p->out;

	for (uint32_t f = 0; f < n->out->nfields; f++) {
		struct weir_col *c;

		if (!weir_node_needs(n, f) || (p->sel && weir_node_origin(n, f) >= 0))
			continue;
		c = weir_batch_own(b, f);
		if (!c || !weir_batch_own_valid(b, c))
			return -ENOMEM;
	}
	return 0;
}

static int begin_view(struct loop *p)
{
	uint32_t rows = weir_batch_count(p->pub.batch);

	p->out = weir_view(p->pub.node, p->pub.batch);
	p->sel = p->out ? weir_batch_sel(p->out, rows) : NULL;
	p->rows = rows;
	return p->sel ? own_columns(p) : -ENOMEM;
}

static int begin_new(struct loop *p, uint32_t rows)
{
	p->out = weir_build(p->pub.node, rows);
	p->sel = NULL;
	p->rows = rows;
	return p->out ? own_columns(p) : -ENOMEM;
}

static void begun(struct loop *p, int r)
{
	if (r == 0)
		return;
	drop(p);
	keep_error(p, r);
}

void weir_loop_pass(struct weir_loop *l)
{
	struct loop *p = of(l);

	if (!l->batch || p->fiber.error)
		return;
	if (p->out && (!p->sel || p->out->parent != l->batch))
		send_out(p);
	if (!p->out)
		begun(p, begin_view(p));
	/* a record passes once, and in order */
	if (p->out && (p->n == 0 || p->sel[p->n - 1] < l->row) && p->n < p->rows)
		p->sel[p->n++] = (uint16_t)l->row;
}

void weir_loop_make(struct weir_loop *l)
{
	struct loop *p = of(l);
	uint32_t rows = ROWS_FIRST;

	if (p->out && p->n == p->rows)
		rows = 2 * p->rows < WEIR_BATCH_ROWS ? 2 * p->rows : WEIR_BATCH_ROWS;
	if (p->out && (p->sel || p->n == p->rows))
		send_out(p);
	if (!p->out && !p->fiber.error)
		begun(p, begin_new(p, rows));
	if (p->out)
		p->n++;
}

void weir_loop_set(struct weir_loop *l, uint32_t field, union weir_datum d)
{
	struct loop *p = of(l);
	struct weir_col *c;
	uint32_t row;

	if (!p->out || !p->n || field >= p->out->schema->nfields ||
	        !weir_node_needs(l->node, field) ||
	        (p->sel && weir_node_origin(l->node, field) >= 0))
		return;
	c = &p->out->cols[field];
	row = p->sel ? p->sel[p->n - 1] : p->n - 1;
	switch (weir_storage_of(c->kind)) {
	case WEIR_WORD:
		((uint64_t *)c->data)[row] = d.u;
		break;
	case WEIR_ADDR:
		((struct weir_ip *)c->data)[row] = d.ip;
		break;
	case WEIR_VAR:
		if (batch_keep_text(p->out, &d.s) < 0) {
			keep_error(p, -ENOMEM);
			return;
		}
		((struct weir_str *)c->data)[row] = d.s;
		break;
	}
	weir_valid_set(c->valid, row);
}

static void body(void *arg)
{
	struct loop *p = arg;

	p->result = module_of(p)->run(&p->pub);
}

/* ---- the host: the callbacks ---- */

static int begin(struct weir_node *n, struct loop *p)
{
	size_t size = module_of(p)->stack;
	int r = fiber_init(&p->fiber, n->mem, size ? size : STACK_DEFAULT, body, p);

	p->begun = r == 0;
	return r;
}

static int ended(struct weir_node *n, struct loop *p)
{
	int r = p->result;

	p->in = p->pub.batch = NULL;
	if (r >= 0)
		r = send_out(p);
	drop(p);
	fiber_release(&p->fiber);
	if (p->fiber.error && r >= 0)
		r = p->fiber.error;
	if (r >= 0 && !p->over && (node_of(n)->plan->flags & WEIR_BLOCKING))
		r = weir_node_fail(n, EPROTO, "its loop returned before the end");
	return r < 0 ? r : 0;
}

/* Posts an event and lets the loop have it. */
static int post(struct weir_node *n, int event, struct weir_batch *b)
{
	struct loop *p = n->state;
	int r = 0;

	if (p->lost || (p->begun && p->fiber.ended))
		return 0;
	p->pub.node = n;
	p->pub.config = n->config;
	if (!p->begun)
		r = begin(n, p);
	if (r < 0)
		return r;
	p->event = event;
	p->in = b;
	p->posted = true;
	r = fiber_resume(&p->fiber);
	if (r == -EFAULT) {
		p->lost = true;
		return weir_node_fail(n, EFAULT, "its loop has run over the end of its stack");
	}
	if (p->fiber.ended)
		return ended(n, p);
	p->in = p->pub.batch = NULL;
	if (p->lost)
		return weir_node_fail(n, EPROTO, "its loop reads on after the end");
	return r;
}

/* Reads of the loop must not fail: what it said that it reads is filled. */
static int fill(const struct weir_node *n, struct weir_batch *b)
{
	const struct plan_node *plan = ((const struct node *)n)->plan;
	int r = 0;

	for (uint32_t w = 0; w <= (n->in->nfields - 1) / 64; w++)
		for (uint64_t bits = plan->uses[w]; bits && r == 0; bits &= bits - 1)
			r = weir_batch_fill(b, 64 * w + (uint32_t)__builtin_ctzll(bits));
	return r;
}

static int loop_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct loop *p = n->state;
	int r = 0;

	if (!weir_batch_count(b))
		return 0;
	if (input == 0 && n->in->nfields)
		r = fill(n, b);
	if (r < 0)
		return r;
	p->pub.input = input;
	r = post(n, WEIR_LOOP_RECORD, b);
	return r < 0 ? r : p->fiber.ended || p->sated ? WEIR_DONE : 0;
}

static int loop_flush(struct weir_node *n, enum weir_mark mark)
{
	return post(n, mark == WEIR_END ? WEIR_LOOP_END : WEIR_LOOP_REFRESH, NULL);
}

static void loop_close(struct weir_node *n)
{
	struct loop *p = n->state;

	p->in = p->pub.batch = NULL;
	drop(p);
	if (!p->begun)
		return;
	p->fiber.shut = true;
	p->fiber.error = -ECANCELED;
	p->ignored = 0;
	if (!p->fiber.ended && !p->lost)
		fiber_resume(&p->fiber);
	drop(p);
	fiber_release(&p->fiber);
}

const struct weir_module *loop_module(struct arena *a, const struct weir_module *m)
{
	struct weir_module *c = arena_alloc(a, sizeof *c);

	if (!c)
		return NULL;
	*c = *m;
	c->state_size = sizeof(struct loop);
	c->process = loop_process;
	c->flush = loop_flush;
	c->close = loop_close;
	return c;
}
