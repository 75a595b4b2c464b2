/* SPDX-License-Identifier: MIT */
/* query_control.c: commands to a query that runs.
 *
 * A restart opens the files of the spec again. Root's must not lend root's rights to a text that
 * another user wrote: the name of a file may stand for another file by now. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/queries.h"

static int restart(struct query *q, const struct cred *who, struct weir_err *err)
{
	struct cred by;
	char *spec = NULL;
	size_t len = 0;
	int r;

	pthread_mutex_lock(&q->lock);
	by = who && who->uid == q->uid ? *who : q->by;
	if (q->spec) {
		len = q->spec_len;
		spec = malloc(len + 1);
		if (spec)
			memcpy(spec, q->spec, len + 1);
	}
	pthread_mutex_unlock(&q->lock);
	if (!spec)
		return weir_fail(err, WEIR_E_SPEC_EMPTY, WEIR_NOPOS, 0);
	r = query_rerun(q, spec, len, &by, err);
	free(spec);
	return r;
}

static const char *const commands[] = {
        "pause", "resume", "stop", "restart", "refresh", "flush", "cancel", "reset", NULL};

static const char *next_command(void *arg, size_t i)
{
	return commands[i];
}

int query_control(struct query *q, const char *command, size_t len, const struct cred *who,
        struct weir_err *err)
{
	char word[33], hint[64];
	struct run *r;
	int ret = 0;

	while (len &&
	        (command[len - 1] == '\n' || command[len - 1] == ' ' || command[len - 1] == '\r'))
		len--;
	while (len && *command == ' ') {
		command++;
		len--;
	}
	snprintf(word, sizeof word, "%.*s", (int)(len < 32 ? len : 32), command);
	if (strcmp(word, "restart") == 0)
		return restart(q, who, err);
	r = query_current(q);
	if (strcmp(word, "pause") == 0 || strcmp(word, "resume") == 0) {
		if (r)
			run_pause(r, word[0] == 'p');
	} else if (strcmp(word, "stop") == 0) {
		if (r)
			run_stop(r);
	} else if (strcmp(word, "cancel") == 0) {
		if (r)
			run_cancel(r);
	} else if (strcmp(word, "refresh") == 0) {
		if (r)
			run_ask(r, RUN_REFRESH);
	} else if (strcmp(word, "flush") == 0 || strcmp(word, "reset") == 0) {
		if (r)
			run_ask(r, word[0] == 'f' ? RUN_FLUSH : RUN_RESET);
	} else {
		ret = weir_fail(err, WEIR_E_UNKNOWN_COMMAND, 0, (uint32_t)len, word,
		        weir_did_you_mean(
		                word, strlen(word), next_command, NULL, hint, sizeof hint));
	}
	run_unref(r);
	if (ret == 0)
		query_log(q, "%s", word);
	return ret;
}
