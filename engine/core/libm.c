/* SPDX-License-Identifier: MIT */
/* libm.c: see libm.h. */
#include "engine/core/libm.h"
#include <math.h>
#include <weir/late.h>

#define FUNCTIONS(X)                                                                               \
	X(exp) X(fmod) X(lgamma_r) X(log) X(log10) X(log2) X(nearbyint) X(nextafter) X(pow) X(round)
WEIR_LATE(libm, "libm.so.6", FUNCTIONS)

#define ONE(name)                                                                                  \
	double libm_##name(double x)                                                               \
	{                                                                                          \
		return weir_late_load(&libm_library) == 0 ? libm.name(x) : NAN;                    \
	}

#define TWO(name)                                                                                  \
	double libm_##name(double x, double y)                                                     \
	{                                                                                          \
		return weir_late_load(&libm_library) == 0 ? libm.name(x, y) : NAN;                 \
	}

ONE(exp)
ONE(log)
ONE(log10)
ONE(log2)
ONE(nearbyint)
ONE(round)
TWO(fmod)
TWO(nextafter)
TWO(pow)

double libm_lgamma_r(double x, int *sign)
{
	return weir_late_load(&libm_library) == 0 ? libm.lgamma_r(x, sign) : NAN;
}
