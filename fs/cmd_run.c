/* SPDX-License-Identifier: MIT */
/* cmd_run.c: `weir run`: one query to its end, rows to standard output.
 *
 * The query runs in the command's own thread: another one would cost a fifth of a millisecond and
 * an arena of malloc's. Its rows are rendered into a buffer that is written when it is large,
 * before the query waits for its source, and every TICK; then the progress is drawn on a terminal's
 * stderr too. SIGPIPE keeps its default: `weir run … | head` ends quietly. SIGINT and SIGTERM end
 * the input: the answer so far is printed, then the signal has its way; a second one has it at
 * once.
 */
#include "engine/core/now.h"
#include "engine/core/query.h"
#include "engine/lang/ast.h"
#include "engine/store/render.h"
#include "fs/cmd.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (256u << 10)
#define TICK 100000000ll /* ns */
#define PROGRESS_AFTER_MS 700

static const struct cmd_option options[] = {
        {'F', "format", "FORMAT", "csv, tsv, txt, json or pcap (csv)"},
        {'f', "file", "FILE", "read the query from a file (-: standard input)"},
        CMD_OPTION_MODULES,
        {'o', "option", "NAME[=VALUE]", "an option of the sources, as in -o of a mount"},
        {'q', "quiet", NULL, "no progress on stderr"},
        {'s', "speed", "N", "replay in the trace's own time, N times as fast"},
        {'t', "threads", "N", "most threads that work for the query"},
        {0},
};

static volatile sig_atomic_t interrupted; /* the signal */

struct run {
	struct text out;
	struct render render;
	const struct weir_schema *schema;
	enum result_format format;
	struct query *query;
	int64_t ticked; /* CLOCK_MONOTONIC ns */
	bool progress, drawn, clears, stopped;
	int failed; /* errno of a write that failed, or 0 */
};

static void erase(struct run *r)
{
	if (r->drawn)
		fputs("\r\033[K", stderr);
	r->drawn = false;
}

static int write_out(struct run *r)
{
	size_t at = 0;

	if (r->clears && r->out.len)
		erase(r);
	while (at < r->out.len && !r->failed) {
		ssize_t n = write(STDOUT_FILENO, r->out.p + at, r->out.len - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			r->failed = errno;
	}
	text_clear(&r->out);
	return -r->failed;
}

static int on_schema(void *arg, const struct weir_schema *s, const uint32_t *shown, uint32_t n)
{
	struct run *r = arg;
	int ret;

	r->schema = weir_schema_ref(s);
	ret = render_init(&r->render, r->format, r->schema, shown, n);
	if (ret == 0)
		render_header(&r->render, &r->out);
	return ret;
}

static int on_rows(void *arg, struct weir_batch *b)
{
	struct run *r = arg;
	int ret = 0;

	if (b)
		ret = render_batch(&r->render, b, &r->out);
	if (ret >= 0 && r->out.failed)
		ret = -ENOMEM;
	if (ret >= 0 && r->out.len >= BLOCK)
		ret = write_out(r);
	return ret < 0 ? ret : 0;
}

/* A number of at most four characters and its unit: "1.2 G". */
static const char *scaled(double v, char *to, size_t size)
{
	static const char unit[] = " kMGTP";
	int u = 0;

	for (; v >= 999.5 && u < 5; u++)
		v /= 1000;
	snprintf(to, size, v < 9.95 && u ? "%.1f %c" : "%.0f %c", v, unit[u]);
	return to;
}

static void draw(struct run *r)
{
	struct query_progress p;
	char records[16], bytes[16], rate[16], left[32] = "", part[16] = "";
	double seconds;

	query_progress(r->query, &p);
	seconds = (double)(p.now - p.started) / 1e9;
	if (seconds * 1000 < PROGRESS_AFTER_MS)
		return;
	if (p.total && p.bytes) {
		double f = (double)p.bytes / (double)p.total;
		long s = (long)(seconds * (1 - f) / f + 0.5);

		snprintf(part, sizeof part, "%3.0f %%  ", f * 100);
		snprintf(left, sizeof left, "  %ld:%02ld left", s / 60, s % 60);
	}
	fprintf(stderr, "\r%s%srecords  %sB  %srecords/s%s\033[K", part,
	        scaled((double)p.records, records, sizeof records),
	        scaled((double)p.bytes, bytes, sizeof bytes),
	        scaled((double)p.records / seconds, rate, sizeof rate), left);
	r->drawn = true;
}

static void interrupt(int sig)
{
	interrupted = sig;
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM};
	struct sigaction a = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND}, was;

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(signals[i], &a, NULL);
}

static void tick(void *arg, bool waits)
{
	struct run *r = arg;
	int64_t now = now_ns(CLOCK_MONOTONIC);
	bool due = now - r->ticked >= TICK;

	if (interrupted && !r->stopped) {
		r->stopped = true;
		query_control(r->query, "stop", 4, NULL, NULL);
	}
	if (due)
		r->ticked = now;
	if (r->out.len && (due || waits))
		write_out(r);
	if (r->progress && due)
		draw(r);
}

/* How many there are. */
static int print_lines(const struct text *t)
{
	const char *line = t->len ? t->p : "", *end;
	int n = 0;

	for (; (end = strchr(line, '\n')); line = end + 1, n++)
		fprintf(stderr, "weir: %.*s\n", (int)(end - line), line);
	return n;
}

static int finish(struct run *r)
{
	struct text why = TEXT_INIT;
	enum query_state state;
	int ret = 0;

	catch_signals();
	state = query_wait(r->query);
	erase(r);
	if (r->schema && (state == QUERY_DONE || state == QUERY_STOPPED))
		render_end(&r->render, &r->out);
	write_out(r);
	query_error(r->query, &why);
	if (r->failed) {
		fprintf(stderr, "weir: write: %s\n", strerror(r->failed));
		ret = CMD_FAILED;
	} else if (state == QUERY_FAILED || why.len) {
		fprintf(stderr, "weir: %s\n", why.len ? why.p : "the query failed");
		ret = state == QUERY_FAILED ? CMD_FAILED : 0;
	}
	text_clear(&why);
	query_faults(r->query, &why);
	if (print_lines(&why))
		ret = CMD_FAILED;
	text_clear(&why);
	query_late(r->query, &why);
	print_lines(&why);
	if (r->render.skipped)
		fprintf(stderr, "weir: %llu packets of another link type were left out\n",
		        (unsigned long long)r->render.skipped);
	text_release(&why);
	return ret;
}

static int start(struct run *r, struct engine *e, const char *spec, size_t len)
{
	struct query_sink sink = {.rows = on_rows, .arg = r, .tick = tick, .here = true};
	struct cred who = {.uid = geteuid(), .gid = getegid()};
	struct weir_err err = WEIR_ERR_INIT;
	int ret;

	ret = query_run_to(e, spec, len, &who, on_schema, &sink, &r->query, &err);
	if (ret < 0 && r->schema && r->format == FORMAT_PCAP)
		weir_fail(&err, WEIR_E_NO_PACKETS, WEIR_NOPOS, 0, "-F pcap");
	else if (ret < 0)
		weir_fail_no(&err, -ret, WEIR_E_SYSTEM, WEIR_NOPOS, 0, "query", strerror(-ret));
	if (ret < 0)
		return cmd_error(&err, spec, len);
	ret = finish(r);
	query_unref(r->query);
	return ret;
}

/* Without a source on the command line, a query that needs one reads standard input. */
static int add_stdin(struct engine *e, const char *spec, size_t len, struct weir_err *err)
{
	struct weir_err e2 = WEIR_ERR_INIT;

	if (isatty(STDIN_FILENO) || query_check(e, spec, len, NULL, NULL, &e2) == 0 ||
	        e2.id != WEIR_E_UNKNOWN_SOURCE)
		return 0;
	return engine_add_source(e, "stdin", "-", err);
}

static int run_query(
        struct run *r, const char *spec, size_t len, char **sources, const struct engine_options *o)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct engine *e = engine_new(o);
	int ret = 0;

	if (!e) {
		fputs("weir: out of memory\n", stderr);
		return CMD_FAILED;
	}
	if (!*sources && add_stdin(e, spec, len, &err) < 0)
		ret = cmd_error(&err, NULL, 0);
	for (; *sources && ret == 0; sources++)
		if (cmd_add_source(e, *sources, &err) < 0)
			ret = cmd_error(&err, NULL, 0);
	if (ret == 0 && engine_check_options(e, &err) < 0)
		ret = cmd_error(&err, NULL, 0);
	if (ret == 0)
		ret = start(r, e, spec, len);
	engine_free(e);
	text_release(&r->out);
	render_release(&r->render);
	weir_schema_unref(r->schema);
	return ret;
}

/* The words stay where they are, in argv. */
static int add_option(struct source_option *to, uint32_t *n, const char *name, const char *value)
{
	if (!source_option_row(name))
		return cmd_usage(&cmd_run, "no source has an option '%s'", name);
	if (*n == SOURCE_OPTIONS_MAX)
		return cmd_usage(&cmd_run, "too many options");
	to[(*n)++] = (struct source_option){name, value};
	return 0;
}

/* NAME or NAME=VALUE. */
static int add_word(struct source_option *to, uint32_t *n, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = 0;
	return add_option(to, n, word, value);
}

static int run(int argc, char **argv)
{
	struct run r = {.format = FORMAT_CSV,
	        .progress = isatty(STDERR_FILENO),
	        .clears = isatty(STDOUT_FILENO)};
	struct text spec = TEXT_INIT;
	const char *file = NULL;
	struct engine_options engine = {0};
	struct source_option source[SOURCE_OPTIONS_MAX];
	double speed;
	long threads = 0;
	char *end;
	int o, ret;

	while ((o = cmd_next(&cmd_run, argc, argv)) != -1) {
		if (o < 0)
			return o == -2 ? 0 : CMD_USAGE;
		if (o == 'f')
			file = optarg;
		if (o == 'q')
			r.progress = false;
		if (o == 'M' && cmd_load_plugins(optarg))
			return CMD_FAILED;
		if (o == 'F' &&
		        (int)(r.format = (enum result_format)result_format_by_name(optarg)) < 0)
			return cmd_usage(&cmd_run, "unknown format '%s'", optarg);
		if (o == 's' && strcmp(optarg, "max") != 0 &&
		        (!((speed = strtod(optarg, &end)) > 0) || *end || speed > 1e9))
			return cmd_usage(&cmd_run, "bad speed '%s'", optarg);
		if ((o == 's' && strcmp(optarg, "max") != 0 &&
		            add_option(source, &engine.nsource, "speed", optarg)) ||
		        (o == 'o' && add_word(source, &engine.nsource, optarg)))
			return CMD_USAGE;
		if (o == 't' && ((threads = strtol(optarg, &end, 10)) < 1 || threads > 256 || *end))
			return cmd_usage(&cmd_run, "bad number of threads '%s'", optarg);
	}
	engine.source = source;
	engine.threads = (uint32_t)threads;
	ret = cmd_read_spec(&cmd_run, file, argc, argv, &spec);
	if (ret == 0)
		ret = run_query(&r, spec.p ? spec.p : "", spec.len, argv + optind, &engine);
	text_release(&spec);
	if (interrupted) {
		signal(interrupted, SIG_DFL);
		raise(interrupted);
	}
	return ret;
}

const struct cmd cmd_run = {
        .name = "run",
        .usage = "QUERY [SOURCE…]",
        .summary = "Run a query over traces and print its answer.",
        .options = options,
        .run = run,
};
