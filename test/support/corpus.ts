import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';

/** Real kernel objects with expected results: beside the project, or where KLPFLOW_CORPUS says. Its README is the contract. */
export const CORPUS = process.env['KLPFLOW_CORPUS'] ?? join(__dirname, '../../../shared/corpus');

/** Where objects are unpacked, 2 GB; what stands there is used again. */
const UNPACKED = process.env['KLPFLOW_CORPUS_CACHE'] ?? join(tmpdir(), 'klpflow-corpus');

const REQUIRED = process.env['KLPFLOW_REQUIRE_CORPUS'] === '1';

/** The pairs that must be there: one that is lost is an error, not a test less. Others in the folder are tested too. */
const PAIRS = {
  'linux-7.2-thinlto': [
    'cmdline-marker',
    'data-change',
    'init-change',
    'new-function-static-local',
    'new-global-two-files',
    'runtime-constants',
    'seal-hazard',
    'special-sections',
    'string-change',
    'three-reasons',
  ],
  'debian-6.12-gcc': [
    'cmdline-marker',
    'data-change',
    'line-shift',
    'new-function-static-local',
    'runtime-constants',
    'seal-hazard',
    'special-sections',
    'string-change',
    'three-reasons',
  ],
} as const;

export type Kernel = keyof typeof PAIRS;
export const KERNELS = Object.keys(PAIRS) as Kernel[];

/** The kernel built as hyperscalers build theirs: Linux 7.3, kCFI and FineIBT, split functions, modules. Its objects are larger, so it has tests of its own. */
export const PRODUCTION = 'linux-7.3-cfi-afdo';
const PRODUCTION_PAIRS = [
  'header-inline',
  'indirect-call',
  'line-shift',
  'module-and-vmlinux',
  'module-only',
  'nf-tables',
  'runtime-mask',
  'static-key',
  'string-change',
];

/** The same source for arm64: kCFI, KASLR, modules. */
export const ARM64 = 'linux-7.3-arm64';
const ARM64_PAIRS = [
  'header-inline',
  'indirect-call',
  'line-shift',
  'module-and-vmlinux',
  'module-only',
  'nf-tables',
  'runtime-pointer',
  'string-change',
  'switch-case',
  'uaccess',
];

export type AnyKernel = Kernel | typeof PRODUCTION | typeof ARM64;

/** `expected.json` of a pair. */
export interface Expected {
  verdict: 'patchable' | 'refused' | 'unchanged';
  changed: string[];
  new: string[];
  tolerated?: string[];
  codes: string[];
  premises: string[];
  /** Changed functions of each module that the patch touches, by the name of the module's file. */
  modules?: Record<string, string[]>;
  boot?: BootExpected | null;
}

/** What a booted kernel shows of a pair. */
export interface BootExpected {
  run: string;
  before?: string;
  beforeNot?: string;
  after: string;
  /** Modules to load before the livepatch, or with `late` after it. */
  modules?: string[];
  late?: boolean;
}

/** Why a folder of the corpus cannot be tested; undefined if it can. */
export function unavailable(folder: string, packed: boolean): string | undefined {
  if (!existsSync(join(CORPUS, folder)))
    return `no corpus: ${folder} is not in ${process.env['KLPFLOW_CORPUS'] ?? '../shared/corpus'} (KLPFLOW_CORPUS names another place)`;
  if (packed && spawnSync('zstd', ['--version']).error !== undefined)
    return 'the corpus is packed with zstd, and there is no zstd here (Debian package zstd)';
  return undefined;
}

/** Skips a test that has no corpus, with the reason that the end of the run repeats; KLPFLOW_REQUIRE_CORPUS=1 makes it fail. */
export function skipWithout(context: TestContext, reason: string | undefined): void {
  if (reason === undefined) return;
  if (REQUIRED) throw new Error(`KLPFLOW_REQUIRE_CORPUS=1, but ${reason}`);
  context.skip(reason);
}

export function pairsOf(kernel: AnyKernel): string[] {
  const folder = join(CORPUS, kernel, 'pairs');
  const required = kernel === PRODUCTION ? PRODUCTION_PAIRS : kernel === ARM64 ? ARM64_PAIRS : PAIRS[kernel];
  return [...new Set([...required, ...(existsSync(folder) ? readdirSync(folder) : [])])].sort();
}

/** Unpacks one pair. @throws what `unpack` says, with the reason on stderr */
export function unpack(kernel: AnyKernel, pair: string): { orig: string; patched: string; expected: Expected } {
  const to = join(UNPACKED, kernel);
  execFileSync('bash', [join(CORPUS, 'unpack'), kernel, to, pair]);
  const expected = expectedOf(kernel, pair);
  return { orig: join(to, 'orig.o'), patched: join(to, pair, 'patched.o'), expected };
}

export function expectedOf(kernel: AnyKernel, pair: string): Expected {
  return JSON.parse(readFileSync(join(CORPUS, kernel, 'pairs', pair, 'expected.json'), 'utf8')) as Expected;
}

/** The objects of a pair, vmlinux's first: of both builds, unpacked. */
export function objectsOf(kernel: AnyKernel, pair: string): Array<{ orig: string; patched: string }> {
  const { orig, patched, expected } = unpack(kernel, pair);
  const at = join(UNPACKED, kernel);
  const modules = Object.keys(expected.modules ?? {}).map((name) => ({
    orig: join(at, 'modules', `${name}.o`),
    patched: join(at, pair, `${name}.o`),
  }));
  return [...(existsSync(patched) ? [{ orig, patched }] : []), ...modules];
}

/** A module to load in the guest. */
export function moduleFile(kernel: AnyKernel, name: string): string {
  return join(UNPACKED, kernel, 'modules', `${name}.ko`);
}

/** Files of a kernel besides its objects; unpack a pair first. */
export function kernelFiles(kernel: AnyKernel): { symvers: string; vmlinux: string; btf: string; template: string } {
  const at = join(UNPACKED, kernel);
  const listings = ['vmlinux', 'kallsyms.txt', 'System.map'].map((name) => join(at, name));
  return {
    symvers: join(at, 'Module.symvers'),
    vmlinux: listings.find((path) => existsSync(path)) ?? listings[0]!,
    btf: join(at, 'types.btf'),
    template: join(CORPUS, kernel, 'template.ko'),
  };
}

/** What a comparison by names needs of a result's function. */
export interface Listed {
  name: string;
  aliases?: readonly string[];
}

/**
 * How listed functions differ from expected ones, by the rules of the corpus: without `.llvm.<digits>`; prefixes, cold
 * parts and aliases of a listed function may be listed too or not; `tolerated` names may be listed.
 */
export function unlike(
  expected: Pick<Expected, 'changed' | 'new' | 'tolerated'>,
  got: { changed: readonly Listed[]; new: readonly Listed[] },
): { missing: string[]; unexpected: string[] } {
  const names = ({ name, aliases = [] }: Listed): string[] => [name, ...aliases].map(withoutSuffix);
  const all = new Set([...expected.changed, ...expected.new].map(withoutSuffix));
  const missing: string[] = [];
  const unexpected: string[] = [];
  for (const kind of ['changed', 'new'] as const) {
    const listed = new Set(got[kind].flatMap(names));
    const wanted = new Set(expected[kind].map(withoutSuffix));
    for (const name of wanted) if (!listed.has(name) && !all.has(ownerOf(name))) missing.push(`${kind} ${name}`);
    // A part goes with its function wherever that is listed: a changed function may gain a cold part.
    const allowed = (name: string): boolean =>
      wanted.has(name) || all.has(ownerOf(name)) || (expected.tolerated ?? []).includes(name);
    for (const entry of got[kind]) if (!names(entry).some(allowed)) unexpected.push(`${kind} ${entry.name}`);
  }
  return { missing, unexpected };
}

function withoutSuffix(name: string): string {
  return name.replace(/\.llvm\.\d+/, '');
}

/** The function that a prefix or cold part belongs to; empty for others. */
function ownerOf(name: string): string {
  const owner = name.replace(/^__(pfx|cfi)_/, '').replace(/\.cold(\.\d+)?$/, '');
  return owner === name ? '' : owner;
}
