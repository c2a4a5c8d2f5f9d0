/** What one object says of the kernel that it was built for, and what can be made of it: a row of the table in docs/kernels.md. */
import { archOf, hasKlpBuild, writable } from '../arch';
import { ElfObject, ET_REL } from '../elf';
import { MappedFile } from '../files/mapped-file';
import { isElf } from '../kernel/listing';
import { moduleInfo } from '../kernel/modinfo';
import { runtimeName } from '../kernel/symvers';
import { hasArity, platformFacts } from '../livepatch/facts';
import type { PlatformFacts } from '../livepatch/object';

export interface ObjectDescription {
  path: string;
  /** vmlinux is known by its vermagic; a unit is a piece of one or the other. */
  kind: 'vmlinux' | 'module' | 'unit';
  name: string | null;
  processor: string;
  /** Vermagic, which modules for this kernel must have. */
  release: string | null;
  compiler: string | null;
  lto: 'Clang' | 'none seen';
  cfi: string;
  profile: string;
  unwinder: 'ORC' | 'none seen';
  ibt: boolean;
  /** What klpflow can do with it, and what it cannot, or lacks. */
  can: string[];
  missing: string[];
}

/** Whether a file is an object, not a kernel's image. @throws KlpflowError `unreadable` */
export function isRelocatable(path: string): boolean {
  const { bytes } = MappedFile.open(path);
  return isElf(bytes) && bytes.length > 17 && (bytes[5] === 1 ? bytes[16] : bytes[17]) === ET_REL;
}

/** @throws KlpflowError what `ElfObject.open` says of the file, `unsupported-object` */
export function describeObject(path: string): ObjectDescription {
  const object = ElfObject.open(path);
  const arch = archOf(object.machine, path);
  const facts = platformFacts(object);
  const own = moduleInfo(object);
  const kind = own.module ? 'module' : facts.vermagic === null ? 'unit' : 'vmlinux';
  const sections = new Set<string>();
  for (let section = 1; section < object.sectionCount; section++) sections.add(object.name(section));
  const has = (test: RegExp): boolean => [...sections].some((name) => test.test(name));
  const { start, end } = object.strings;
  const promoted = Buffer.from(object.bytes.buffer, object.bytes.byteOffset + start, end - start).includes('.llvm.');
  const split = has(/^\.text\.split\./);
  const sites = facts.kcfi !== null && sections.has('.cfi_sites');
  const found: ObjectDescription = {
    path,
    kind,
    name: kind === 'module' ? (own.name ?? runtimeName(path)) : kind,
    processor: arch.name,
    release: facts.vermagic?.trim() ?? null,
    compiler: compilerOf(object),
    lto: promoted ? 'Clang' : 'none seen',
    cfi:
      facts.kcfi === null ? 'none' : `kCFI${hasArity(object) ? ' with arity' : ''}${sites ? ', FineIBT possible' : ''}`,
    profile: has(/^\.llvm_bb_addr_map$|\.__part\./)
      ? 'basic blocks in sections of their own'
      : has(/^\.text\.hot\./)
        ? `functions sorted by a profile${split ? ', and split' : ''}`
        : 'none seen',
    unwinder: facts.orcAtStart === null ? 'none seen' : 'ORC',
    ibt: facts.ibt !== false,
    can: [],
    missing: [],
  };
  judge(found, object.machine, facts);
  return found;
}

function judge(found: ObjectDescription, machine: number, { ibt, kcfi }: PlatformFacts): void {
  const { can, missing, kind } = found;
  can.push('be compared (diff)', 'become an object for kpatch-build (--format kpatch)');
  if (archOf(machine, found.path).modules === null) {
    missing.push(`formats klp and ko are written for ${writable()} only`);
    return;
  }
  can.push(
    hasKlpBuild(machine) ? 'become an object for klp-build (-o FILE.o)' : 'become an object for link (-o FILE.o)',
  );
  if (ibt === 'before-objtool')
    missing.push('objtool has not run on it: no finished module of it would work in an IBT kernel');
  else if (kcfi === 'no-donor' && kind === 'unit')
    missing.push(
      "nothing in it shows the type hashes of a module's init and exit functions (kCFI): a module needs vmlinux.o beside it",
    );
  else if (typeof kcfi === 'string')
    missing.push('the type hashes of init and exit functions (kCFI) are not known of it');
  else can.push('become a finished module (-o FILE.ko)');
  missing.push(
    "for a livepatch the running kernel's files: its image (--vmlinux), or --symvers and --btf or --template",
  );
}

/** The first line of `.comment`; GCC and Clang both write one. */
function compilerOf(object: ElfObject): string | null {
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.name(section) !== '.comment') continue;
    return (
      Buffer.from(object.content(section))
        .toString('latin1')
        .split('\0')
        .find((line) => line !== '') ?? null
    );
  }
  return null;
}
