/* SPDX-License-Identifier: MIT */
/* libm.h: what the C library keeps in a library of its own.
 *
 * libm takes 340 KB of a process and 60 us of its start, which most queries have no use for; so it
 * is loaded at the first call (weir/late.h). Each function is the one of math.h by that name. Any
 * thread may call. libm comes with libc; were it missing, all of these would return NaN.
 */
#ifndef LIBM_H
#define LIBM_H

double libm_exp(double x);
double libm_fmod(double x, double y);
double libm_lgamma_r(double x, int *sign);
double libm_log(double x);
double libm_log10(double x);
double libm_log2(double x);
double libm_nearbyint(double x);
double libm_nextafter(double x, double y);
double libm_pow(double x, double y);
double libm_round(double x);

#endif
