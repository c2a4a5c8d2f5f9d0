/**
 * A small real kernel, built here as the scripts build one that make livepatches of it. Kept in the cache: it takes twenty minutes of one core, and 2 GB.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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
  'SMP PRINTK TTY SERIAL_8250 BLK_DEV_INITRD RD_GZIP BINFMT_ELF BINFMT_SCRIPT PROC_FS SYSFS DEVTMPFS TMPFS MODULES',
  'MODULE_UNLOAD MODVERSIONS BASIC_MODVERSIONS MODULE_SIG MODULE_SIG_SHA512 KALLSYMS KALLSYMS_ALL FTRACE FUNCTION_TRACER DYNAMIC_FTRACE LIVEPATCH',
  'JUMP_LABEL MULTIUSER FUTEX POSIX_TIMERS ADVISE_SYSCALLS MEMBARRIER SHMEM SIGNALFD EPOLL HIGH_RES_TIMERS DEBUG_KERNEL',
  'CC_OPTIMIZE_FOR_PERFORMANCE IKCONFIG BUG DYNAMIC_DEBUG',
];

/** What differs by processor: options, and the image. */
const MACHINES = {
  'x86-64': {
    yes: '64BIT SERIAL_8250_CONSOLE KLP_BUILD UNWINDER_ORC CPU_MITIGATIONS KERNEL_GZIP MITIGATION_RETPOLINE MITIGATION_RETHUNK PARAVIRT',
    image: 'arch/x86/boot/bzImage',
  },
  // As far from the modules as kernels with KASLR are, where every call goes through what the loader or the livepatch builds.
  arm64: {
    yes: 'SERIAL_AMBA_PL011 SERIAL_AMBA_PL011_CONSOLE PCI PCI_HOST_GENERIC SERIAL_8250_PCI RELOCATABLE RANDOMIZE_BASE RANDOMIZE_MODULE_REGION_FULL',
    image: 'arch/arm64/boot/Image',
  },
} as const;

const CONFIG = [
  ...YES.flatMap(enabled),
  'CONFIG_BINFMT_MISC=m',
  'CONFIG_LOCALVERSION="-small"',
  '# CONFIG_LOCALVERSION_AUTO is not set',
  '# CONFIG_MODULE_SIG_ALL is not set',
];

/** What klp-build has make do. */
const AS_KLP_BUILD = ['KLP_SYMIDS=1', 'KCFLAGS=-ffunction-sections -fdata-sections'];

const LLVM = process.env['KLPFLOW_E2E_LLVM'];

/** What make is told of the compiler, where it is not GCC. */
export const COMPILER = LLVM === undefined ? [] : [`LLVM=${LLVM}`];

const CONSTRUCTS = join(__dirname, 'constructs/constructs.c');

/** The tree of the tests of scope `whole`, by GCC, or by Clang with ThinLTO; with a module that owns what the loader sets up. @returns why there is none */
export function wholeTree(): SmallTree | string {
  return smallTree({
    name: LLVM === undefined ? 'gcc' : `llvm${LLVM}`,
    tarball: process.env['KLPFLOW_E2E_SMALL'],
    options: LLVM === undefined ? [] : ['CONFIG_LTO_CLANG_THIN=y'],
    edited: readFileSync(CONSTRUCTS, 'utf8'),
    edit: (folder) => {
      copyFileSync(CONSTRUCTS, join(folder, 'fs/constructs.c'));
      appendFileSync(join(folder, 'fs/Makefile'), 'obj-m += constructs.o\n');
    },
    variables: [...COMPILER, ...AS_KLP_BUILD],
  });
}

export interface SmallBuild {
  name: string;
  /** Default x86-64. */
  machine?: keyof typeof MACHINES;
  /** The kernel's source. */
  tarball: string | undefined;
  /** Lines of the configuration on top of these. */
  options?: readonly string[];
  /** Changes the source before it is built. */
  edit?: (folder: string) => void;
  /** What that puts in: another text is another tree. */
  edited?: string;
  /** For make. */
  variables: readonly string[];
}

/** Builds a tree, unless that is done. @returns why there is none */
export function smallTree({
  name,
  machine = 'x86-64',
  tarball,
  options = [],
  edit,
  edited = '',
  variables,
}: SmallBuild): SmallTree | string {
  if (tarball === undefined) return 'no small kernel: no tarball of its source is named';
  const folder = join(CACHE, `small-${name}-${basename(tarball).replace(/\.tar\..*/, '')}`);
  const { yes, image } = MACHINES[machine];
  const tree = { folder, image: join(folder, image), key: join(folder, 'certs/signing_key.pem') };
  const config = [...CONFIG, ...enabled(yes), ...options, ''].join('\n');
  const [recipe, made] = [JSON.stringify([config, variables, edited]), join(folder, 'small.recipe')];
  if (existsSync(made) && readFileSync(made, 'utf8') === recipe) {
    if (existsSync(join(folder, 'built.done'))) return tree;
  } else {
    rmSync(folder, { recursive: true, force: true });
    unpack(tarball, folder, edit);
    writeFileSync(made, recipe);
  }
  // make goes on where a run that was stopped left it.
  writeFileSync(join(folder, 'small.config'), config);
  const make = (...words: string[]): void =>
    run('make', ['-s', `-j${availableParallelism()}`, ...variables, ...words], folder);
  make('KCONFIG_ALLCONFIG=small.config', 'allnoconfig');
  make(basename(image), 'modules');
  writeFileSync(join(folder, 'built.done'), '');
  return tree;
}

function unpack(tarball: string, folder: string, edit: SmallBuild['edit']): void {
  const unpacking = `${folder}.new`;
  rmSync(unpacking, { recursive: true, force: true });
  mkdirSync(unpacking, { recursive: true });
  run('tar', ['-xf', tarball, '--strip-components=1'], unpacking);
  edit?.(unpacking);
  renameSync(unpacking, folder);
}

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 });
}

function enabled(names: string): string[] {
  return names.split(' ').map((name) => `CONFIG_${name}=y`);
}
