/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For patches that klpflow builds on kernels without linux/livepatch_helpers.h (before 6.19): the same macros, with the same meaning. Each names a
 * function that the livepatch core calls with the patched object: before and after its functions are redirected, before and after they are again as
 * they were. A pre-patch callback that returns an error keeps the livepatch out.
 */
#ifndef _LINUX_LIVEPATCH_HELPERS_H
#define _LINUX_LIVEPATCH_HELPERS_H

#include <linux/livepatch.h>

/* vmlinux or a module; klpflow build defines it for each unit. */
#ifndef KLP_OBJNAME
#error "KLP_OBJNAME is not defined: compile with -DKLP_OBJNAME=vmlinux, or the name of the module"
#endif

#define __KLP_JOINED(kind, object) __klp_##kind##_callback_##object
#define __KLP_POINTER(kind, object) __KLP_JOINED(kind, object)

/* By this name the pointer is found; its section is not loaded. */
#define __KLP_CALLBACK(kind, func)						\
	static typeof(((struct klp_callbacks *)0)->kind)			\
	__KLP_POINTER(kind, KLP_OBJNAME)					\
	__attribute__((used, section(".discard.klp_callback_ptrs"))) = (func)

#define KLP_PRE_PATCH_CALLBACK(func) __KLP_CALLBACK(pre_patch, func)
#define KLP_POST_PATCH_CALLBACK(func) __KLP_CALLBACK(post_patch, func)
#define KLP_PRE_UNPATCH_CALLBACK(func) __KLP_CALLBACK(pre_unpatch, func)
#define KLP_POST_UNPATCH_CALLBACK(func) __KLP_CALLBACK(post_unpatch, func)

#endif
