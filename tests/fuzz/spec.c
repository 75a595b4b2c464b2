/* SPDX-License-Identifier: MIT */
/* spec.c: any bytes as a spec. Parsed, judged as the beginning of one, planned over an empty
 * trace, and its error explained. What would open files of this machine is not planned. */
#include "engine/core/query.h"
#include "engine/core/text.h"
#include "engine/lang/ast.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct ast *a, uint32_t len)
{
	if (a->pos > len || a->len > len - a->pos || a->depth > NEST_MAX || a->depth == 0)
		__builtin_trap();
	for (uint32_t i = 0; i < a->nkids; i++)
		walk(a->kids[i], len);
}

static void walk_pipe(const struct ast_pipe *p, uint32_t len)
{
	for (const struct ast_stage *s = p->first; s; s = s->next) {
		if (s->pos > len || s->len > len - s->pos)
			__builtin_trap();
		for (uint32_t i = 0; i < s->nargs; i++) {
			const struct ast_stage *block = s->args[i].block;

			if (s->args[i].expr)
				walk(s->args[i].expr, len);
			for (uint32_t k = 0; block && k < block->nbranches; k++)
				walk_pipe(block->branches[k], len);
		}
		if (s->where)
			walk(s->where, len);
		for (uint32_t i = 0; i < s->nbranches; i++)
			walk_pipe(s->branches[i], len);
	}
}

static struct engine *empty(void)
{
	static const uint8_t header[24] = {
	        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, [18] = 4, [20] = 1}; /* pcap, Ethernet */
	static struct engine *e;
	char path[32];
	int fd;

	if (e)
		return e;
	e = engine_new(&(struct engine_options){0});
	fd = memfd_create("trace", MFD_CLOEXEC);
	if (!e || fd < 0 || write(fd, header, sizeof header) != sizeof header)
		__builtin_trap();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (engine_add_source(e, "trace", path, NULL) < 0)
		__builtin_trap();
	return e;
}

static void plan(const char *s, size_t size)
{
	struct weir_err err = WEIR_ERR_INIT;
	struct text t = TEXT_INIT;

	if (memmem(s, size, "pcapfile", 8))
		return;
	if (query_check(empty(), s, size, NULL, &t, &err) < 0 && err.id == WEIR_E_NONE)
		__builtin_trap();
	if (err.id != WEIR_E_NONE)
		lang_explain(&t, "fuzz", s, size, &err);
	text_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	struct arena a;
	struct ast_spec *spec;
	struct weir_err err = WEIR_ERR_INIT, certain = WEIR_ERR_INIT;
	struct text t = TEXT_INIT;
	int rc;

	arena_init(&a, NULL);
	rc = lang_parse(s, size, &a, &spec, &err);
	if (rc < 0) {
		if (err.id == WEIR_E_NONE || (err.pos != WEIR_NOPOS && err.pos > size))
			__builtin_trap();
		lang_explain(&t, "fuzz", s, size, &err);
	} else {
		for (uint32_t i = 0; i < spec->nqueries; i++)
			walk_pipe(spec->queries[i], (uint32_t)size);
		plan(s, size);
	}
	/* What is certain of the beginning is true of the whole. */
	if (lang_certain(s, size / 2, &certain) < 0 && rc == 0 &&
	        certain.id != WEIR_E_UNKNOWN_MODULE)
		__builtin_trap();
	text_release(&t);
	arena_release(&a);
	return 0;
}
