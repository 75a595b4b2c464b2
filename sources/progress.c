/* SPDX-License-Identifier: MIT */
/* progress.c: see progress.h. */
#include "sources/progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVERY_NS 1000000000ll
#define WAKE_NS 20000000ll
#define MARKS 1024 /* from then on, a file's batches share marks: those of a query that rests */

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int progress_open(struct progress *p, struct weir_reader *r, const char *state, const char *of,
        struct weir_err *err)
{
	*p = (struct progress){.reader = r, .state = {.dir = -1, .fd = -1}};
	if (!state)
		return 0;
	if (!r->named)
		return weir_fail(err, WEIR_E_NOT_PERMITTED, WEIR_NOPOS, 0,
		        "a state is kept for a source of the command line only");
	p->keeps = r->remembers = true;
	return state_file_open(&p->state, state, of, err);
}

void progress_close(struct progress *p)
{
	if (!p->reader)
		return;
	while (p->n) {
		p->mark[p->at].file->marks--;
		p->at = (p->at + 1) % p->room;
		p->n--;
	}
	weir_free(p->reader->mem, p->mark, p->room * sizeof *p->mark);
	state_file_close(&p->state);
	*p = (struct progress){.reader = NULL};
}

static int grow(struct progress *p)
{
	uint32_t room = p->room ? p->room * 2 : 64;
	struct progress_mark *to = weir_alloc(p->reader->mem, room * sizeof *to);

	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n; i++)
		to[i] = p->mark[(p->at + i) % p->room];
	weir_free(p->reader->mem, p->mark, p->room * sizeof *p->mark);
	p->mark = to;
	p->at = 0;
	p->room = room;
	return 0;
}

static void settle(struct progress *p)
{
	while (p->n && p->mark[p->at].after <= p->taken) {
		const struct progress_mark *m = &p->mark[p->at];

		m->file->id = m->id;
		m->file->offset = m->offset;
		m->file->size = m->size;
		m->file->marks--;
		p->at = (p->at + 1) % p->room;
		p->n--;
		p->dirty = true;
	}
}

static int add(struct progress *p, const struct progress_mark *m)
{
	struct progress_mark *last = p->n ? &p->mark[(p->at + p->n - 1) % p->room] : NULL;

	if (!p->keeps)
		return 0;
	if (p->n >= MARKS && last->file == m->file && !last->size) {
		*last = *m; /* settles later than it might */
		return 0;
	}
	if (p->n == p->room && grow(p) < 0)
		return -ENOMEM;
	p->mark[(p->at + p->n++) % p->room] = *m;
	m->file->marks++;
	settle(p);
	return 0;
}

int progress_batch(
        struct progress *p, struct progress_file *f, const struct file_id *id, uint64_t offset)
{
	p->given++;
	p->last = monotonic();
	return f ? add(p, &(struct progress_mark){p->given, f, *id, offset, 0}) : 0;
}

int progress_end(struct progress *p, struct progress_file *f, const struct file_id *id,
        uint64_t offset, uint64_t size, bool pending)
{
	return add(p, &(struct progress_mark){p->given + pending, f, *id, offset, size});
}

void progress_taken(struct progress *p, uint64_t batches)
{
	p->taken = batches;
	settle(p);
}

int64_t progress_wake(const struct progress *p)
{
	int64_t now = monotonic(), wait = (now - p->last) / 4;

	if (!p->keeps || (!p->n && !p->dirty))
		return 0;
	return now + (wait < WAKE_NS ? WAKE_NS : wait < EVERY_NS ? wait : EVERY_NS);
}

bool progress_is_due(const struct progress *p, bool last)
{
	return p->keeps && p->dirty && (last || monotonic() >= p->due);
}

void progress_write(struct progress *p, const struct state_entry *e, uint32_t n)
{
	int64_t start = monotonic(), now;
	int r = state_file_write(&p->state, e, n);
	char why[100];

	now = monotonic();
	p->due = now + EVERY_NS + 10 * (now - start); /* at most a tenth of the time */
	p->dirty = r < 0;
	if (r < 0 && !p->failed) {
		snprintf(why, sizeof why, "the state cannot be written: %s", strerror(-r));
		weir_source_fault(p->reader, p->state.path, 0, why);
	}
	p->failed = r < 0;
}
