/* What differs by processor: x86-64. */
#include "kernel.h"

void rt_boot(void)
{
}

void rt_finalize(int module)
{
}

/* By the call of __fentry__ that it begins with. */
void rt_lead(u64 from, u64 to, const char *name)
{
	const struct rt_symbol *fentry = rt_global("__fentry__");
	unsigned char *site = (void *)from;
	if (!memcmp(site, "\xf3\x0f\x1e\xfa", 4))
		site += 4;
	if (*site != 0xe8 || (u64)site + 5 + *(int *)(site + 1) != fentry->address)
		rt_fail("failed to find location for function", name);
	long distance = to - ((u64)site + 5);
	if (distance != (int)distance)
		rt_fail("new code out of reach", name);
	*site = 0xe9;
	*(int *)(site + 1) = distance;
}

u64 rt_target(unsigned type, u64 value)
{
	return value + (type == R_X86_64_PC32 || type == R_X86_64_PLT32 ? 4 : 0);
}

/* The place must be empty. */
void rt_write(u64 place, unsigned type, u64 value, int near, const char *name)
{
	int wide = type == R_X86_64_64 || type == R_X86_64_PC64;
	if (type == R_X86_64_PC32 || type == R_X86_64_PLT32 || type == R_X86_64_PC64)
		value -= place;
	else if (type != R_X86_64_64 && type != R_X86_64_32 && type != R_X86_64_32S)
		rt_fail("Unknown rela relocation", name);
	if (memcmp((void *)place, "\0\0\0\0\0\0\0\0", wide ? 8 : 4))
		rt_fail("Invalid relocation target, existing value is nonzero", name);
	if (!wide && (type == R_X86_64_32 ? value != (unsigned)value : value != (u64)(int)value))
		rt_fail("overflow in relocation", name);
	memcpy((void *)place, &value, wide ? 8 : 4);
}

asm(".text\n.globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall rt_main\n");
/* Where compiled functions call before anything else, until a livepatch turns the call into a jump. */
asm(".text\n.globl __fentry__\n.type __fentry__,@function\n__fentry__: ret\n.size __fentry__,1\n");
