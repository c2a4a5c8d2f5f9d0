/**
 * A small real kernel, built here as the scripts build one that make livepatches of it. Kept in the cache: it takes twenty minutes of one core, and 2 GB.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { CACHE } from './packages';

export interface SmallTree {
  /** Built; tests copy it before they write to it. */
  folder: string;
  image: string;
  /** Key and certificate of its modules, which the kernel trusts. */
  key: string;
}

/** On top of allnoconfig. */
const YES = [
  '64BIT SMP PRINTK TTY SERIAL_8250 SERIAL_8250_CONSOLE BLK_DEV_INITRD RD_GZIP BINFMT_ELF BINFMT_SCRIPT PROC_FS SYSFS DEVTMPFS TMPFS MODULES',
  'MODULE_UNLOAD MODVERSIONS BASIC_MODVERSIONS MODULE_SIG MODULE_SIG_SHA512 KALLSYMS KALLSYMS_ALL FTRACE FUNCTION_TRACER DYNAMIC_FTRACE LIVEPATCH KLP_BUILD',
  'UNWINDER_ORC JUMP_LABEL MULTIUSER FUTEX POSIX_TIMERS ADVISE_SYSCALLS MEMBARRIER SHMEM SIGNALFD EPOLL HIGH_RES_TIMERS DEBUG_KERNEL',
  'CPU_MITIGATIONS KERNEL_GZIP CC_OPTIMIZE_FOR_PERFORMANCE IKCONFIG MITIGATION_RETPOLINE MITIGATION_RETHUNK PARAVIRT',
];
const CONFIG = [
  ...YES.flatMap((line) => line.split(' ')).map((name) => `CONFIG_${name}=y`),
  'CONFIG_BINFMT_MISC=m',
  'CONFIG_LOCALVERSION="-small"',
  '# CONFIG_LOCALVERSION_AUTO is not set',
  '# CONFIG_MODULE_SIG_ALL is not set',
];

/** What klp-build has make do. */
export const AS_KLP_BUILD = ['KLP_SYMIDS=1', 'KCFLAGS=-ffunction-sections -fdata-sections'];

export interface SmallBuild {
  name: string;
  /** The kernel's source. */
  tarball: string | undefined;
  /** Lines of the configuration on top of these. */
  options?: readonly string[];
  /** For make. */
  variables: readonly string[];
}

/** Builds a tree, unless that is done. @returns why there is none */
export function smallTree({ name, tarball, options = [], variables }: SmallBuild): SmallTree | string {
  if (tarball === undefined) return 'no small kernel: no tarball of its source is named';
  const folder = join(CACHE, `small-${name}-${basename(tarball).replace(/\.tar\..*/, '')}`);
  const tree = { folder, image: join(folder, 'arch/x86/boot/bzImage'), key: join(folder, 'certs/signing_key.pem') };
  if (existsSync(join(folder, 'built.done'))) return tree;
  // make goes on where a run that was stopped left it.
  if (!existsSync(folder)) unpack(tarball, folder);
  writeFileSync(join(folder, 'small.config'), [...CONFIG, ...options, ''].join('\n'));
  const make = (...words: string[]): void =>
    run('make', ['-s', `-j${availableParallelism()}`, ...variables, ...words], folder);
  make('KCONFIG_ALLCONFIG=small.config', 'allnoconfig');
  make('bzImage', 'modules');
  writeFileSync(join(folder, 'built.done'), '');
  return tree;
}

function unpack(tarball: string, folder: string): void {
  const unpacking = `${folder}.new`;
  rmSync(unpacking, { recursive: true, force: true });
  mkdirSync(unpacking, { recursive: true });
  run('tar', ['-xf', tarball, '--strip-components=1'], unpacking);
  renameSync(unpacking, folder);
}

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 });
}
