// SPDX-License-Identifier: MIT
//
// Fragmentation torture at full size, with memory looked at after each step: 1 GB of mixed sizes, a
// random nine tenths freed, filled to 1 GB with other sizes, everything freed, two seconds later.

#include "phase.h"
#include "torture.h"

enum { FULL_MB = 1024, QUICK_MB = 96 };

void phase_torture(struct phases *p, bool quick)
{
    size_t bytes = (size_t)(quick ? QUICK_MB : FULL_MB) << 20;
    struct torture *t = torture_new(bytes);
    double start = phase_seconds();
    torture_grow(t, bytes);
    phase_mark(p, "grown", torture_own_bytes(t));
    torture_thin(t);
    phase_value(p, "live_after_thinning_kb", (double)t->bytes / 1024);
    phase_mark(p, "thinned", torture_own_bytes(t));
    torture_refill(t, bytes);
    phase_value(p, "live_after_refill_kb", (double)t->bytes / 1024);
    phase_mark(p, "refilled", torture_own_bytes(t));
    torture_clear(t);
    phase_value(p, "work_s", phase_seconds() - start);
    torture_free(t);
    phase_mark(p, "freed", 0);
    phase_tick_for(2);
    phase_mark(p, "settled", 0);
}
