/** A project of three units, built by Clang as kernels are: ThinLTO partitions, profiles. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ElfObject } from '../../src/elf';

const SOURCES = join(__dirname, '../fixtures/lto');
const UNITS = ['queue', 'account', 'submit'] as const;

/** What x86-64 kernels with IBT and return thunks are compiled with, before objtool. */
const KERNEL = [
  '--target=x86_64-linux-gnu',
  '-O2',
  '-ffreestanding',
  '-fno-pic',
  '-mcmodel=kernel',
  '-mno-red-zone',
  '-mno-sse',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-strict-aliasing',
  '-fno-asynchronous-unwind-tables',
  '-fcf-protection=branch',
  '-mfunction-return=thunk-extern',
  '-pg',
  '-mfentry',
  '-Wno-everything',
];

/** Debian's name of a tool of LLVM 19, which builds the corpus kernel, or the plain one: 15 at least, for return thunks. */
export function tool(name: string): string | undefined {
  return [`${name}-19`, name].find((candidate) => {
    const { error, stdout } = spawnSync(candidate, ['--version'], { encoding: 'utf8' });
    return (
      error === undefined &&
      Number(
        /version (\d+)|LLD (\d+)/
          .exec(stdout)
          ?.slice(1)
          .find((number) => number !== undefined) ?? 15,
      ) >= 15
    );
  });
}

const TOOLS = { clang: tool('clang'), lld: tool('ld.lld'), profdata: tool('llvm-profdata') };

/** Why nothing can be built; undefined if it can. */
export function withoutClang(): string | undefined {
  const missing = Object.entries(TOOLS)
    .filter(([, found]) => found === undefined)
    .map(([name]) => name);
  return missing.length === 0
    ? undefined
    : `no ${missing.join(', no ')} of LLVM 15 or newer here (Debian packages clang-19, lld-19, llvm-19)`;
}

export interface Build {
  /** Changes of sources: text to find, once, what to put in its place, and so on. */
  edits?: Partial<Record<(typeof UNITS)[number], readonly string[]>>;
  flags?: readonly string[];
  /** Further sources, by name without `.c`. */
  more?: Record<string, string>;
  /** In which order the linker gets the units. */
  order?: readonly string[];
}

/** Writes the sources into `folder`. @throws where an edit finds nothing */
function sources(folder: string, { edits = {}, more = {} }: Build): string[] {
  mkdirSync(folder, { recursive: true });
  cpSync(SOURCES, folder, { recursive: true });
  for (const [unit, words] of Object.entries(edits)) {
    const path = join(folder, `${unit}.c`);
    let text = readFileSync(path, 'utf8');
    for (let i = 0; i < words.length; i += 2) {
      if (text.split(words[i]!).length !== 2) throw new Error(`${unit}.c does not have "${words[i]}" once`);
      text = text.replace(words[i]!, () => words[i + 1]!);
    }
    writeFileSync(path, text);
  }
  for (const [unit, text] of Object.entries(more)) writeFileSync(join(folder, `${unit}.c`), text);
  return [...UNITS, ...Object.keys(more)];
}

function run(program: string | undefined, folder: string, ...argv: readonly string[]): void {
  execFileSync(program!, argv, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

export interface Partitions {
  /** `vmlinux.o.thinlto.o1`, one a unit, in a folder of their own. */
  folder: string;
  /** The object that the link joined them to. */
  linked: string;
  /** The partition of a unit. */
  of: (unit: string) => string;
}

/** Builds with ThinLTO as a kernel's link of vmlinux.o does, and keeps what `--lto-obj-path` leaves. */
export function thinLto(folder: string, build: Build = {}): Partitions {
  const units = sources(folder, build);
  for (const unit of units)
    run(
      TOOLS.clang,
      folder,
      ...KERNEL,
      '-flto=thin',
      '-fsplit-lto-unit',
      '-c',
      `${unit}.c`,
      '-o',
      `${unit}.bc`,
      ...(build.flags ?? []),
    );
  run(
    TOOLS.lld,
    folder,
    '-r',
    '-m',
    'elf_x86_64',
    '-mllvm',
    '-import-instr-limit=100',
    '--lto-obj-path=vmlinux.o.thinlto.o',
    '-o',
    'vmlinux.o',
    '--whole-archive',
    ...(build.order ?? units).map((unit) => `${unit}.bc`),
  );
  const to = join(folder, 'partitions');
  mkdirSync(to);
  for (const name of readdirSync(folder))
    if (/\.thinlto\.o\d*$/.test(name)) renameSync(join(folder, name), join(to, name));
  const of = (unit: string): string => {
    const found = readdirSync(to)
      .map((name) => join(to, name))
      .filter((path) => unitsOf(path).includes(`${unit}.c`));
    if (found.length !== 1) throw new Error(`${found.length} partitions of ${unit}.c`);
    return found[0]!;
  };
  return { folder: to, linked: join(folder, 'vmlinux.o'), of };
}

/** Links an image of an object, as a kernel's last link does: hidden names become local. */
export function image(object: string): string {
  run(
    TOOLS.lld,
    join(object, '..'),
    '-m',
    'elf_x86_64',
    '-e',
    '0',
    '--unresolved-symbols=ignore-all',
    '-o',
    `${object}.image`,
    object,
  );
  return `${object}.image`;
}

/** Builds one object a unit, without LTO. */
export function units(folder: string, build: Build = {}): { folder: string; of: (unit: string) => string } {
  const names = sources(folder, build);
  const to = join(folder, 'objects');
  mkdirSync(to);
  for (const unit of names)
    run(TOOLS.clang, folder, ...KERNEL, '-c', `${unit}.c`, '-o', join('objects', `${unit}.o`), ...(build.flags ?? []));
  return { folder: to, of: (unit) => join(to, `${unit}.o`) };
}

function unitsOf(path: string): string[] {
  return symbolsOf(path)
    .filter(({ type }) => type === 4)
    .map(({ name }) => name);
}

/** Defined and undefined symbols of an object. */
export function symbolsOf(
  path: string,
): Array<{ name: string; type: number; section: string; value: number; size: number }> {
  const object = ElfObject.open(path);
  return Array.from({ length: object.symbolCount }, (_, symbol) => {
    const at = symbol * 6;
    const [, info, value, , size] = Array.from(object.symbols.subarray(at, at + 6)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const section = info >>> 16;
    return {
      name: object.symbolName(symbol),
      type: info & 0xf,
      section: section > 0 && section < object.sectionCount ? object.name(section) : '',
      value,
      size,
    };
  });
}

/** How often each function ran, by name; blocks of one function ran equally often. Others never did. */
export type Counts = Readonly<Record<string, number>>;

/** Makes a profile for `-fprofile-use`, as text for llvm-profdata; an instrumented build tells the hashes of the functions. */
export function profile(folder: string, counts: Counts): string {
  const { of } = units(join(folder, 'instrumented'), { flags: ['-fprofile-generate'] });
  const lines = [':ir'];
  for (const unit of UNITS) {
    const object = ElfObject.open(of(unit));
    for (let data = 3; data < object.sectionCount; data++) {
      if (object.name(data) !== '__llvm_prf_data') continue;
      // A group a function, called after its counters: `__profc_queue_push`, `__profc_queue.c_wrap` of a static.
      const [group, counters] = [data - 2, data - 1];
      const name = object.symbolName(object.info(group)).replace('__profc_', '').replace(`${unit}.c_`, `${unit}.c;`);
      const ran = counts[name.slice(name.indexOf(';') + 1)] ?? 0;
      const blocks = object.size(counters) / 8;
      lines.push(
        name,
        `${Buffer.from(object.content(data)).readBigUInt64LE(8)}`,
        `${blocks}`,
        ...Array.from({ length: blocks }, () => `${ran}`),
        '',
      );
    }
  }
  writeFileSync(join(folder, 'profile.txt'), lines.join('\n'));
  run(TOOLS.profdata, folder, 'merge', 'profile.txt', '-o', 'profile.profdata');
  return join(folder, 'profile.profdata');
}
