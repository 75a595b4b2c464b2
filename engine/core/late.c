/* SPDX-License-Identifier: MIT */
/* late.c: see weir/late.h. What is loaded stays: its functions may be in use anywhere. */
#include <weir/late.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum { UNTRIED, LOADED, MISSING };

static void load(struct weir_late *l)
{
	void *h = dlopen(l->name, RTLD_NOW | RTLD_LOCAL), *f = h;
	const char *why;

	for (size_t i = 0; f && l->wanted[i]; i++) {
		f = dlsym(h, l->wanted[i]);
		l->table[i] = f;
	}
	if (!f) {
		why = dlerror();
		snprintf(l->missing, sizeof l->missing, "%s", why ? why : l->name);
	}
	__atomic_store_n(&l->state, f ? LOADED : MISSING, __ATOMIC_RELEASE);
}

int weir_late_load(struct weir_late *l)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	if (__atomic_load_n(&l->state, __ATOMIC_ACQUIRE) == UNTRIED) {
		pthread_mutex_lock(&lock);
		if (l->state == UNTRIED)
			load(l);
		pthread_mutex_unlock(&lock);
	}
	return l->state == LOADED ? 0 : -ENOENT;
}
