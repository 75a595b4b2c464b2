/* SPDX-License-Identifier: MIT */
/* schema.c: schemas are one allocation: the struct, the fields, the strings. */
#include <weir/schema.h>

#include <stdlib.h>

static size_t string_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static const char *string_copy(char **at, const char *s)
{
	char *to = *at;

	if (!s)
		return NULL;
	*at = stpcpy(to, s) + 1;
	return to;
}

struct weir_schema *weir_schema_new(const char *name, const struct weir_field *fields, uint32_t n)
{
	size_t size = sizeof(struct weir_schema) + n * sizeof *fields + string_size(name);
	struct weir_schema *s;
	char *at;

	for (uint32_t i = 0; i < n; i++)
		size += string_size(fields[i].name) + string_size(fields[i].unit) +
		        string_size(fields[i].aliases) + string_size(fields[i].doc);
	s = malloc(size);
	if (!s)
		return NULL;
	*s = (struct weir_schema){.refs = 1, .nfields = n, .fields = (struct weir_field *)(s + 1)};
	at = (char *)(s->fields + n);
	s->name = string_copy(&at, name);
	for (uint32_t i = 0; i < n; i++) {
		s->fields[i] = fields[i];
		s->fields[i].name = string_copy(&at, fields[i].name);
		s->fields[i].unit = string_copy(&at, fields[i].unit);
		s->fields[i].aliases = string_copy(&at, fields[i].aliases);
		s->fields[i].doc = string_copy(&at, fields[i].doc);
	}
	return s;
}

struct weir_schema *weir_schema_ref(const struct weir_schema *s)
{
	struct weir_schema *m = (struct weir_schema *)s;

	__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void weir_schema_unref(const struct weir_schema *s)
{
	struct weir_schema *m = (struct weir_schema *)s;

	if (m && __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(m);
}

static bool is_alias(const char *list, const char *name, size_t len)
{
	while (list && *list) {
		size_t n = strcspn(list, " ");

		if (n == len && memcmp(list, name, len) == 0)
			return true;
		list += n;
		list += strspn(list, " ");
	}
	return false;
}

int weir_schema_find(const struct weir_schema *s, const char *name, size_t len)
{
	for (uint32_t i = s->nfields; i-- > 0;)
		if (strlen(s->fields[i].name) == len && memcmp(s->fields[i].name, name, len) == 0)
			return (int)i;
	for (uint32_t i = s->nfields; i-- > 0;)
		if (is_alias(s->fields[i].aliases, name, len))
			return (int)i;
	return -1;
}

bool weir_schema_shadowed(const struct weir_schema *s, uint32_t field)
{
	for (uint32_t i = field + 1; i < s->nfields; i++)
		if (strcmp(s->fields[i].name, s->fields[field].name) == 0)
			return true;
	return false;
}
