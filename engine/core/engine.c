/* SPDX-License-Identifier: MIT */
/* engine.c: an engine, its sources, its log of rejected specs. */
#include "engine/core/engine.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/clock.h"
#include "engine/core/queries.h"
#include "engine/lang/parse.h"

struct engine *engine_new(const struct engine_options *o)
{
	struct engine *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->options = *o;
	if (o->cache) {
		e->cache = cache_new(o->cache);
		if (!e->cache) {
			free(e);
			return NULL;
		}
	}
	if (o->join) {
		e->joints = joints_new();
		if (!e->joints) {
			cache_free(e->cache);
			free(e);
			return NULL;
		}
	}
	if (!e->options.memory)
		e->options.memory = 512ull << 20;
	if (!e->options.retain)
		e->options.retain = 64ull << 20;
	if (!e->options.max_queries)
		e->options.max_queries = 1024;
	if (!e->options.refresh)
		e->options.refresh = 1000000000;
	if (!e->options.threads)
		e->options.threads = 1;
	pthread_mutex_init(&e->lock, NULL);
	textlog_init(&e->errors);
	pthread_cond_init(&e->idle, NULL);
	e->next_serial = 1;
	e->next_name = 1;
	e->generation = 1;
	e->started = now_ns(CLOCK_REALTIME);
	e->input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return e;
}

void engine_in_tree(struct engine *e, dev_t dev, bool (*waits)(uint64_t ino))
{
	e->tree = dev;
	e->waits = waits;
}

static void mounted_free(struct mounted *m)
{
	if (!m)
		return;
	feed_free(m->feed);
	text_release(&m->about);
	weir_schema_unref(m->schema);
	faults_release(&m->faults);
	arena_release(&m->arena);
	free(m->name);
	free(m->spec);
	free(m);
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	queries_stop(e);
	clock_free(e->clock);
	cache_stop(e->cache); /* it holds runs */
	queries_release(e);
	for (size_t i = 0; i < e->nmounted; i++)
		mounted_free(e->mounted[i]);
	cache_free(e->cache);
	joints_free(e->joints);
	if (e->input >= 0)
		close(e->input);
	textlog_release(&e->errors);
	pthread_cond_destroy(&e->idle);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

int engine_call_at(struct engine *e, int64_t at, void (*fn)(void *arg), void *arg)
{
	int r = 0;

	pthread_mutex_lock(&e->lock);
	if (!e->clock)
		e->clock = clock_new(); /* late: a daemon forks between engine_new() and here */
	r = e->clock ? 0 : -ENOMEM;
	pthread_mutex_unlock(&e->lock);
	return r < 0 ? r : clock_call(e->clock, at, fn, arg);
}

/* ---- sources ---- */

struct mounted *engine_find(struct engine *e, const char *name, size_t len)
{
	for (size_t i = 0; i < e->nmounted; i++)
		if (strlen(e->mounted[i]->name) == len &&
		        memcmp(e->mounted[i]->name, name, len) == 0)
			return e->mounted[i];
	return NULL;
}

/* What the beginning of a query would take for something else than a source of this name. */
static bool is_reserved(const char *name)
{
	static const char *const words[] = {"packets", "flows", "set"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(name, words[i]) == 0)
			return true;
	return lex_reserved(name, (uint32_t)len) || registry_module(name, len) ||
	       registry_source(name, len);
}

/* Where in the spec the name is: behind the last slash; of a pattern behind a kind, that of its
 * folder.
 */
static const char *name_in(const char *spec)
{
	const char *colon = strchr(spec, ':'), *base = strrchr(spec, '/');

	if (!base || !colon || !registry_source(spec, (size_t)(colon - spec)) ||
	        (base[1] && !strpbrk(base, "*?[")))
		return base ? base + 1 : spec;
	while (base > colon + 1 && base[-1] == '/')
		base--;
	while (base > colon + 1 && base[-1] != '/')
		base--;
	return base;
}

/* "dir/trace.pcap.gz" is "trace"; what cannot stand in a name becomes '_', and what would be
 * something else than a source gets one behind it. */
static void make_name(struct engine *e, const char *spec, char *to, size_t size)
{
	const char *base = name_in(spec);
	size_t n = 0;
	char stem[52] = "s";

	if (strcmp(spec, "-") == 0)
		base = "stdin";
	if (!isalpha((unsigned char)base[0]))
		n++;
	for (; *base && *base != '.' && *base != '/' && n < sizeof stem - 2; base++)
		stem[n++] = (char)(isalnum((unsigned char)*base) || *base == '-' ? *base : '_');
	stem[n] = 0;
	if (is_reserved(stem))
		memcpy(stem + n, "_", 2);
	snprintf(to, size, "%s", stem);
	for (unsigned k = 2; engine_find(e, to, strlen(to)); k++)
		snprintf(to, size, "%s_%u", stem, k);
}

static int check_name(struct engine *e, const char *name, struct weir_err *err)
{
	if (is_reserved(name))
		return weir_fail(err, WEIR_E_RESERVED_NAME, WEIR_NOPOS, 0, name);
	if (!lang_is_name(name, strlen(name)))
		return weir_fail(err, WEIR_E_BAD_NAME, WEIR_NOPOS, 0, name);
	if (engine_find(e, name, strlen(name)))
		return weir_fail(err, WEIR_E_NAME_TAKEN, WEIR_NOPOS, 0, name);
	return 0;
}

/* Standard input and what has no beginning to go back to. */
static bool reads_once(const struct weir_source *source, const char *spec)
{
	struct stat st;

	return (source->flags & WEIR_SOURCE_ONCE) || strcmp(spec, "-") == 0 ||
	       (stat(spec, &st) == 0 &&
	               (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) || S_ISSOCK(st.st_mode)));
}

static void info_line(void *arg, const char *key, const char *value)
{
	text_printf(arg, "%s: %s\n", key, value);
}

/* Takes the reader of a source just opened: to feed all queries, or to be closed. */
static int settle(
        struct mounted *m, struct reader *reader, bool once, uint64_t history, struct weir_err *err)
{
	int r = 0;

	m->schema = weir_schema_ref(reader->pub.schema);
	if (!once) {
		reader_close(reader);
		return 0;
	}
	if (m->source->info)
		r = m->source->info(&reader->pub, info_line, &m->about, err);
	if (r == 0 && !(m->feed = feed_new(reader, history)))
		r = -ENOMEM;
	if (r < 0)
		reader_close(reader);
	return r;
}

int engine_add_source(struct engine *e, const char *name, const char *spec, struct weir_err *err)
{
	struct rights all = {.all = true};
	struct reader *reader = NULL;
	struct mounted *m;
	char made[64];
	int r = 0;

	if (e->nmounted == SOURCES_MAX)
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, WEIR_NOPOS, 0, "number of sources",
		        "at most 256");
	if (name)
		r = check_name(e, name, err);
	if (r < 0)
		return r;
	if (!name)
		make_name(e, spec, made, sizeof made);
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	faults_init(&m->faults);
	arena_init(&m->arena, NULL);
	m->name = strdup(name ? name : made);
	m->spec = strdup(spec);
	m->source = registry_probe(spec);
	if (!m->source)
		r = weir_fail(err, WEIR_E_UNKNOWN_SOURCE, WEIR_NOPOS, 0, spec,
		        ": nothing here reads that");
	if (r == 0 && (!m->name || !m->spec))
		r = -ENOMEM;
	if (r == 0)
		r = source_config(
		        e, m->source, (const char *const *)&m->spec, 1, &m->arena, &m->config, err);
	if (r == 0) {
		all.pipes = reads_once(m->source, spec);
		r = reader_open_named(m, &all, e, &reader, err);
	}
	if (r == 0)
		r = settle(m, reader, all.pipes || reader->pub.once, e->options.history, err);
	if (r < 0) {
		mounted_free(m);
		return r;
	}
	pthread_mutex_lock(&e->lock);
	e->mounted[e->nmounted++] = m;
	pthread_mutex_unlock(&e->lock);
	return 0;
}

size_t engine_sources(struct engine *e)
{
	return e->nmounted;
}

const char *engine_source_name(struct engine *e, size_t i)
{
	return i < e->nmounted ? e->mounted[i]->name : NULL;
}

static int info(struct engine *e, struct mounted *m, struct text *to)
{
	struct rights all = {.all = true};
	struct weir_err err = WEIR_ERR_INIT;
	struct reader *reader = NULL;
	int r = 0;

	text_printf(to, "name: %s\nsource: %s\nkind: %s\n", m->name, m->spec, m->source->name);
	if (m->feed) {
		text_puts(to, "read: once\n");
		feed_text(m->feed, &m->about, to);
	} else if (m->source->info) {
		r = reader_open(m->source, m->config, &all, e, &m->mem, NULL, &reader, &err);
		if (r == 0)
			r = m->source->info(&reader->pub, info_line, to, &err);
		if (r < 0)
			text_printf(to, "error: %s\n", err.text[0] ? err.text : strerror(-r));
		else
			cache_trace_text(e->cache, reader, to);
		reader_close(reader);
	}
	faults_text(&m->faults, to);
	return 0;
}

void schema_text(const struct weir_schema *s, struct text *to)
{
	for (uint32_t i = 0; i < s->nfields; i++) {
		const struct weir_field *f = &s->fields[i];

		text_printf(to, "%-18s %-8s %-8s %s", f->name, weir_kind_name(f->kind),
		        f->unit ? f->unit : "", f->doc ? f->doc : "");
		if (f->aliases)
			text_printf(to, " (also: %s)", f->aliases);
		text_puts(to, "\n");
	}
}

static void stats_line(void *arg, const char *key, uint64_t value)
{
	text_printf(arg, "%s: %llu\n", key, (unsigned long long)value);
}

static void stats(struct mounted *m, struct text *to)
{
	uint64_t passes = stat_get64(&m->passes), records = stat_get64(&m->records),
	         bytes = stat_get64(&m->bytes);
	struct weir_counts c;

	if (m->feed) {
		passes = 1;
		feed_count(m->feed, &records, &bytes);
		/* what no query counts: blocks, batches under way */
		stats_line(to, "memory", __atomic_load_n(&m->mem.used, __ATOMIC_RELAXED));
		feed_stats(m->feed, stats_line, to);
	}
	stats_line(to, "passes", passes);
	stats_line(to, "joined", stat_get64(&m->joined));
	stats_line(to, "records", records);
	stats_line(to, "bytes", bytes);
	stats_line(to, "faults", m->faults.count);
	if (!m->feed || !feed_losses(m->feed, &c))
		return;
	stats_line(to, "packets", c.packets);
	stats_line(to, "kernel_drops", c.kernel);
	stats_line(to, "interface_drops", c.interface);
	stats_line(to, "own_drops", c.own);
}

int engine_source_losses(struct engine *e, size_t i, struct weir_counts *ret)
{
	struct mounted *m = i < e->nmounted ? e->mounted[i] : NULL;

	return m && m->feed && feed_losses(m->feed, ret) ? 0 : -ENOENT;
}

int engine_source_text(struct engine *e, size_t i, const char *what, struct text *to)
{
	struct mounted *m = i < e->nmounted ? e->mounted[i] : NULL;

	if (!m)
		return -ENOENT;
	if (strcmp(what, "info") == 0)
		return info(e, m, to);
	if (strcmp(what, "fields") == 0) {
		schema_text(m->schema, to);
		return 0;
	}
	if (strcmp(what, "stats") == 0) {
		stats(m, to);
		return 0;
	}
	return -ENOENT;
}

struct textlog *engine_errors(struct engine *e)
{
	return &e->errors;
}
