/* SPDX-License-Identifier: MIT */
/* textlog.c: see textlog.h. */
#include "engine/core/textlog.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "engine/core/now.h"

void textlog_init(struct textlog *l)
{
	*l = (struct textlog){.text = TEXT_INIT};
	pthread_mutex_init(&l->lock, NULL);
}

void textlog_release(struct textlog *l)
{
	text_release(&l->text);
	pthread_mutex_destroy(&l->lock);
}

/* Drops the older half, by whole lines. */
static void drop(struct textlog *l)
{
	struct text *t = &l->text;
	size_t cut = t->len - TEXTLOG_KEEP / 2;
	const char *line = memrchr(t->p, '\n', cut);

	cut = line ? (size_t)(line + 1 - t->p) : cut;
	memmove(t->p, t->p + cut, t->len - cut);
	t->len -= cut;
	l->first += cut;
}

void textlog_add(struct textlog *l, const char *text, size_t len)
{
	pthread_mutex_lock(&l->lock);
	text_add(&l->text, text, len);
	if (!l->text.failed && l->text.len > TEXTLOG_KEEP)
		drop(l);
	l->text.failed = false;
	l->time = now_ns(CLOCK_REALTIME);
	pthread_mutex_unlock(&l->lock);
}

uint64_t textlog_end(struct textlog *l, uint64_t *ret_first)
{
	uint64_t end;

	pthread_mutex_lock(&l->lock);
	end = l->first + l->text.len;
	if (ret_first)
		*ret_first = l->first;
	pthread_mutex_unlock(&l->lock);
	return end;
}

int64_t textlog_time(struct textlog *l)
{
	int64_t time;

	pthread_mutex_lock(&l->lock);
	time = l->time;
	pthread_mutex_unlock(&l->lock);
	return time;
}

int64_t textlog_read(struct textlog *l, uint64_t off, char *to, size_t size)
{
	int64_t n = 0;

	pthread_mutex_lock(&l->lock);
	if (off < l->first) {
		n = -ESTALE;
	} else if (off - l->first < l->text.len) {
		size_t at = (size_t)(off - l->first);

		n = (int64_t)(l->text.len - at < size ? l->text.len - at : size);
		memcpy(to, l->text.p + at, (size_t)n);
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}
