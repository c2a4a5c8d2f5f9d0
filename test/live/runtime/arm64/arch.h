/* System calls of arm64, and what the loader must know of the processor. */
enum { SYS_OPENAT = 56, SYS_CLOSE, SYS_LSEEK = 62, SYS_READ, SYS_WRITE, SYS_EXIT = 93, SYS_SETITIMER = 103, SYS_MMAP = 222, SYS_MPROTECT = 226 };
/* Seconds of processor time that a program may take: it is emulated. */
enum { RT_SECONDS = 20 };
/* PROT_BTI, where the program's functions begin with landing pads. */
extern int rt_prot_branch;
#define RT_PROT_BRANCH rt_prot_branch

static inline long rt_sys(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 asm("x8") = n, x0 asm("x0") = a, x1 asm("x1") = b, x2 asm("x2") = c, x3 asm("x3") = d, x4 asm("x4") = e, x5 asm("x5") = f;
	asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

static inline long rt_open(const char *path)
{
	return rt_sys(SYS_OPENAT, -100, (long)path, 0, 0, 0, 0);
}
