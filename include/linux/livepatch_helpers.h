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

/* Instead of static_call(name), where the key of the static call is a module's: an indirect call through it, which needs no patching of code. */
#define KLP_STATIC_CALL(name) ((typeof(STATIC_CALL_TRAMP(name)) *)STATIC_CALL_KEY(name).func)

/* Instead of SYSCALL_DEFINEx: the same functions without what describes the system call to tracers, which the kernel has already. */
#define KLP_SYSCALL_DEFINEx(count, name, ...) __SYSCALL_DEFINEx(count, name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE1(name, ...) KLP_SYSCALL_DEFINEx(1, _##name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE2(name, ...) KLP_SYSCALL_DEFINEx(2, _##name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE3(name, ...) KLP_SYSCALL_DEFINEx(3, _##name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE4(name, ...) KLP_SYSCALL_DEFINEx(4, _##name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE5(name, ...) KLP_SYSCALL_DEFINEx(5, _##name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE6(name, ...) KLP_SYSCALL_DEFINEx(6, _##name, __VA_ARGS__)

#endif
