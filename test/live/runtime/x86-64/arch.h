/* System calls of x86-64, and what the loader must know of the processor. */
enum { SYS_READ, SYS_WRITE, SYS_OPEN, SYS_CLOSE, SYS_LSEEK = 8, SYS_MMAP, SYS_MPROTECT, SYS_SETITIMER = 38, SYS_EXIT = 60 };
/* Seconds of processor time that a program may take. */
enum { RT_SECONDS = 2 };
/* What the entries of programs and livepatches are protected with besides. */
#define RT_PROT_BRANCH 0

static inline long rt_sys(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
	long result;
	asm volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return result;
}

static inline long rt_open(const char *path)
{
	return rt_sys(SYS_OPEN, (long)path, 0, 0, 0, 0, 0);
}
