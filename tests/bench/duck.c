/* SPDX-License-Identifier: MIT */
/* duck.c: runs SQL statements in DuckDB.
 *
 * usage: duck [-a] LIBRARY DATABASE THREADS STATEMENT…
 * LIBRARY is a libduckdb.so, which is loaded at run time: neither it nor its header is needed to
 * build. -a: the last statement again, and how long that took inside the engine: seconds, on one
 * line.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/seconds.h"

/* duckdb.h, the stable C API: https://duckdb.org/docs/api/c/overview */
struct result {
	uint64_t columns, rows, changed;
	void *column, *error, *internal;
};

static int (*open_database)(const char *path, void **ret);
static int (*connect_to)(void *database, void **ret);
static int (*query)(void *connection, const char *text, struct result *ret);
static const char *(*error_of)(struct result *r);
static void (*destroy)(struct result *r);
static void (*disconnect)(void **connection);
static void (*close_database)(void **database);

static const struct {
	void *to;
	const char *name;
} functions[] = {
        {&open_database, "duckdb_open"},
        {&connect_to, "duckdb_connect"},
        {&query, "duckdb_query"},
        {&error_of, "duckdb_result_error"},
        {&destroy, "duckdb_destroy_result"},
        {&disconnect, "duckdb_disconnect"},
        {&close_database, "duckdb_close"},
};

static int load(const char *library)
{
	void *h = dlopen(library, RTLD_NOW);

	for (size_t i = 0; h && i < sizeof functions / sizeof *functions; i++) {
		void *f = dlsym(h, functions[i].name);

		if (!f)
			h = NULL;
		else
			*(void **)functions[i].to = f;
	}
	if (!h)
		fprintf(stderr, "duck: %s\n", dlerror());
	return h ? 0 : -1;
}

static int run(void *connection, const char *text)
{
	struct result r;
	int failed = query(connection, text, &r);

	if (failed)
		fprintf(stderr, "duck: %s\n", error_of(&r));
	destroy(&r);
	return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
	bool again = argc > 1 && !strcmp(argv[1], "-a");
	void *database, *connection;
	char threads[64];
	double began = 0;
	int r;

	argc -= again;
	argv += again;
	if (argc < 5) {
		fprintf(stderr, "usage: duck [-a] LIBRARY DATABASE THREADS STATEMENT...\n");
		return 2;
	}
	if (load(argv[1]) < 0)
		return 1;
	if (open_database(argv[2], &database) || connect_to(database, &connection)) {
		fprintf(stderr, "duck: cannot open %s\n", argv[2]);
		return 1;
	}
	snprintf(threads, sizeof threads, "set threads = %.20s", argv[3]);
	r = run(connection, threads);
	for (int i = 4; i < argc && r == 0; i++)
		r = run(connection, argv[i]);
	if (r == 0 && again) {
		began = now();
		r = run(connection, argv[argc - 1]);
		printf("%.6f\n", now() - began);
	}
	disconnect(&connection);
	close_database(&database);
	return r ? 1 : 0;
}
