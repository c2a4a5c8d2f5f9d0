/* System calls without a C library: programs link in milliseconds, and nothing else is in their symbol tables. */
#pragma once
typedef unsigned long u64;
enum { PROT_R = 1, PROT_W = 2, PROT_X = 4 };
#include "arch.h"

void rt_put(char c);
void rt_flush(void);
/* What the warm-up printed is of no interest: an edit may have changed it. */
void rt_forget(void);
/* Ends the program with status 3: what the kernel would have refused. */
void rt_fail(const char *what, const char *name) __attribute__((noreturn));
/* Maps a file, privately. */
char *rt_map(const char *path, u64 *size);
u64 strlen(const char *s);
int strcmp(const char *a, const char *b);
int memcmp(const void *a, const void *b, u64 n);
void *memcpy(void *to, const void *from, u64 n);
