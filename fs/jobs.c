/* SPDX-License-Identifier: MIT */
/* jobs.c: see jobs.h. */
#include "fs/jobs.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
	struct job *next;
	void (*fn)(void *arg);
	void *arg;
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last; /* protected by lock, as all below */
	unsigned waiting;          /* jobs */
	unsigned idle, n;          /* threads */
	bool ending;
	pthread_t thread[JOBS_MAX];
};

struct jobs *jobs_new(void)
{
	struct jobs *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->wake, NULL);
	j->last = &j->first;
	return j;
}

static void *worker(void *arg)
{
	struct jobs *j = arg;
	struct job *job;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		while (!j->first && !j->ending) {
			j->idle++;
			pthread_cond_wait(&j->wake, &j->lock);
			j->idle--;
		}
		job = j->first;
		if (!job)
			break;
		j->first = job->next;
		if (!j->first)
			j->last = &j->first;
		j->waiting--;
		pthread_mutex_unlock(&j->lock);
		job->fn(job->arg);
		free(job);
		pthread_mutex_lock(&j->lock);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

void jobs_run(struct jobs *j, void (*fn)(void *arg), void *arg)
{
	struct job *job = malloc(sizeof *job);

	pthread_mutex_lock(&j->lock);
	if (job && !j->ending && j->waiting >= j->idle && j->n < JOBS_MAX &&
	        pthread_create(&j->thread[j->n], NULL, worker, j) == 0)
		j->n++;
	if (!job || !j->n || j->ending) {
		pthread_mutex_unlock(&j->lock);
		free(job);
		fn(arg);
		return;
	}
	*job = (struct job){.fn = fn, .arg = arg};
	*j->last = job;
	j->last = &job->next;
	j->waiting++;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
}

void jobs_end(struct jobs *j)
{
	pthread_mutex_lock(&j->lock);
	j->ending = true;
	pthread_cond_broadcast(&j->wake);
	pthread_mutex_unlock(&j->lock);
	for (unsigned i = 0; i < j->n; i++)
		pthread_join(j->thread[i], NULL);
	j->n = 0;
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
