/** Processors that programs of the trial are made for: compilers, what kernels are compiled with there, and how programs run. */
import { spawnSync } from 'node:child_process';
import type { OutputFormat } from '../../src/livepatch/formats';
import type { Rng } from './rng';

export interface Target {
  /** The folder of its part of the runtime, too. */
  name: TargetName;
  gcc: string;
  clang: string;
  /** Of GCC's programs and of Clang's. */
  linkers: { gcc: string; clang: string };
  /** What a program runs under. */
  emulator: readonly string[];
  /** What klpflow makes of each pair. */
  formats: readonly OutputFormat[];
  /** Flags of the runtime besides the common ones. */
  runtime: readonly string[];
  /** Flags of a program. */
  flags(r: Rng, gcc: boolean): string[];
  /** Debian packages of what may be absent. */
  packages: string;
}

export type TargetName = 'x86-64' | 'arm64';

/** What kernels are compiled with, as far as a process can run it. */
const KERNEL = [
  '-ffreestanding',
  '-fno-pic',
  '-fno-pie',
  '-fno-asynchronous-unwind-tables',
  '-fno-strict-aliasing',
  '-fno-strict-overflow',
  '-fno-common',
  '-fno-stack-protector',
  '-w',
];
const OF_GCC = ['-fno-allow-store-data-races', '-fconserve-stack'];
const level = (r: Rng): string => r.weighted({ '-O2': 6, '-O1': 1, '-Os': 2, '-O3': 1 });

const X86_64: Target = {
  name: 'x86-64',
  gcc: 'gcc',
  clang: 'clang-19',
  linkers: { gcc: 'ld', clang: 'ld' },
  emulator: [],
  formats: ['klp', 'kpatch'],
  runtime: ['-mno-sse', '-fcf-protection=none'],
  packages: 'gcc, clang-19 and the like, binutils',
  flags(r, gcc) {
    const own = ['-mcmodel=kernel', '-mno-red-zone', '-mno-sse', '-mno-mmx', '-mno-80387', '-pg', '-mfentry'];
    return [
      ...KERNEL,
      ...own,
      ...(gcc ? ['-mrecord-mcount', ...OF_GCC] : ['--target=x86_64-linux-gnu']),
      level(r),
      // With IBT there are no jump tables; without, there are.
      ...r.pick([
        ['-fcf-protection=none'],
        ['-fcf-protection=none'],
        ['-fcf-protection=none', '-fno-jump-tables'],
        ['-fcf-protection=branch', '-fno-jump-tables'],
      ]),
      r.pick(['-falign-functions=16', '-falign-functions=16', '-falign-functions=1']),
    ];
  },
};

/** -fpatchable-function-entry and what goes with it: plain, CALL_OPS; protected branches are Clang's, and so are types (kCFI), which exclude CALL_OPS. */
const ENTRIES = {
  plain: ['-fpatchable-function-entry=2', '-mbranch-protection=none'],
  pac: ['-fpatchable-function-entry=2', '-mbranch-protection=pac-ret'],
  'call-ops': ['-fpatchable-function-entry=4,2', '-falign-functions=8', '-mbranch-protection=pac-ret'],
  bti: ['-fpatchable-function-entry=2', '-mbranch-protection=pac-ret+bti'],
  'call-ops-bti': ['-fpatchable-function-entry=4,2', '-falign-functions=8', '-mbranch-protection=pac-ret+bti'],
  cfi: ['-fpatchable-function-entry=2', '-mbranch-protection=pac-ret', '-fsanitize=kcfi'],
  'cfi-bti': ['-fpatchable-function-entry=2', '-mbranch-protection=pac-ret+bti', '-fsanitize=kcfi'],
} as const;

const ARM64: Target = {
  name: 'arm64',
  gcc: 'aarch64-linux-gnu-gcc',
  clang: 'clang-19',
  linkers: { gcc: 'aarch64-linux-gnu-ld', clang: 'ld.lld-19' },
  emulator: process.arch === 'arm64' ? [] : ['qemu-aarch64', '-cpu', 'max,pauth-impdef=on'],
  formats: ['ko', 'kpatch'],
  runtime: ['-mgeneral-regs-only', '-mno-outline-atomics', '-mbranch-protection=bti'],
  packages: 'gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, clang-19, lld-19, qemu-user',
  flags(r, gcc) {
    const optimized = level(r);
    // Where GCC optimizes for size it aligns no function, so that kernels have no CALL_OPS then.
    const entry = gcc
      ? r.weighted({ plain: 2, pac: 2, 'call-ops': optimized === '-Os' ? 0 : 2 })
      : r.weighted({ plain: 1, pac: 2, 'call-ops': 1, bti: 1, 'call-ops-bti': 1, cfi: 3, 'cfi-bti': 1 });
    return [
      ...KERNEL,
      '-mgeneral-regs-only',
      ...(gcc ? [...OF_GCC, '-mno-outline-atomics'] : ['--target=aarch64-linux-gnu']),
      ...ENTRIES[entry],
      optimized,
      // The kernel keeps frame pointers, and so no tail calls.
      ...r.pick([['-fno-omit-frame-pointer', '-fno-optimize-sibling-calls'], ['-fno-omit-frame-pointer'], []]),
      ...r.pick([[], [], ['-fno-jump-tables']]),
    ];
  },
};

export const TARGETS: Readonly<Record<TargetName, Target>> = { 'x86-64': X86_64, arm64: ARM64 };

/** @throws Error for a name that is none */
export function targetOf(name: string): Target {
  const target = Object.values(TARGETS).find((one) => one.name === name);
  if (target === undefined) throw new Error(`--arch ${name}: ${Object.keys(TARGETS).join(' or ')}`);
  return target;
}

/** Whether the trial can run here with these compilers; the reason if not. */
export function missing(
  { name, gcc, linkers, emulator, packages }: Target,
  compilers: readonly string[],
): string | undefined {
  const needed = [gcc, ...compilers, ...Object.values(linkers), ...emulator.slice(0, 1)];
  const absent = [...new Set(needed)].filter((program) => spawnSync(program, ['--version']).error !== undefined);
  if (absent.length > 0) return `no ${absent.join(', no ')} here (Debian packages ${packages})`;
  // A cross compiler may be there without the headers of a C library.
  if (spawnSync(gcc, ['-E', '-include', 'elf.h', '-x', 'c', '/dev/null'], { stdio: 'ignore' }).status !== 0)
    return `${gcc} finds no elf.h here (Debian packages ${packages})`;
  if (name === 'x86-64' && process.arch !== 'x64')
    return `programs of the trial are for x86-64, this is ${process.arch}`;
  return undefined;
}
