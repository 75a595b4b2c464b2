/* SPDX-License-Identifier: MIT */
/* xattr.c: see xattr.h. */
#include "fs/xattr.h"
#include <string.h>

static bool is_annotation(const struct weir_schema *s, uint32_t field)
{
	return s->fields[field].flags & WEIR_FIELD_ANNOTATION;
}

int xattr_get(struct fs *fs, const struct node *n, const char *name, struct text *to)
{
	const struct weir_schema *s;
	const uint32_t *shown;
	struct record r;
	uint32_t count;
	int e;

	if (n->kind != NODE_RECORD || strncmp(name, "user.", 5) != 0)
		return -ENOTSUP;
	e = record_find(fs, n, &r);
	if (e < 0)
		return e;
	e = -ENODATA;
	s = result_schema(r.result);
	count = result_shown(r.result, &shown);
	for (uint32_t i = 0; i < count; i++)
		if (is_annotation(s, shown[i]) && strcmp(s->fields[shown[i]].name, name + 5) == 0)
			e = result_record(r.result, r.snap, r.node.row, (int)shown[i], to);
	record_release(fs, &r);
	return e < 0 ? e : to->failed ? -ENOMEM : 0;
}

int xattr_list(struct fs *fs, const struct node *n, struct text *to)
{
	struct text value = TEXT_INIT;
	const struct weir_schema *s;
	const uint32_t *shown;
	struct record r;
	uint32_t count;
	int e;

	if (n->kind != NODE_RECORD)
		return 0;
	e = record_find(fs, n, &r);
	if (e < 0)
		return e;
	s = result_schema(r.result);
	count = result_shown(r.result, &shown);
	for (uint32_t i = 0; i < count && e == 0; i++) {
		const char *name = s->fields[shown[i]].name;
		size_t len = strlen(name) + 1;

		if (!is_annotation(s, shown[i]) || to->len + 5 + len > XATTR_NAMES_MAX)
			continue;
		text_clear(&value);
		e = result_record(r.result, r.snap, r.node.row, (int)shown[i], &value);
		if (e == 0) {
			text_add(to, "user.", 5);
			text_add(to, name, len);
		} else if (e == -ENODATA) {
			e = 0;
		}
	}
	text_release(&value);
	record_release(fs, &r);
	return e < 0 ? e : to->failed ? -ENOMEM : 0;
}
