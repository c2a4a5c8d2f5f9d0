/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The callbacks of patches that were written for kpatch, in the words of linux/livepatch_helpers.h. */
#ifndef __KPATCH_MACROS_H_
#define __KPATCH_MACROS_H_

#include <linux/livepatch_helpers.h>

typedef struct klp_object patch_object;

#define KPATCH_PRE_PATCH_CALLBACK(func) KLP_PRE_PATCH_CALLBACK(func)
#define KPATCH_POST_PATCH_CALLBACK(func) KLP_POST_PATCH_CALLBACK(func)
#define KPATCH_PRE_UNPATCH_CALLBACK(func) KLP_PRE_UNPATCH_CALLBACK(func)
#define KPATCH_POST_UNPATCH_CALLBACK(func) KLP_POST_UNPATCH_CALLBACK(func)

#endif
