import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { ElfObject, SHDR_SIZE, SH_ENTSIZE } from '../src/elf';
import type { Input } from './input';

/*
 * The peer: `objtool klp` of Linux, run on copies as klp-build runs it. `checksum` rewrites an object in place, so
 * every run gets copies of its own; making and syncing them is not counted.
 */

/** The peer's binary: the one named, or `objtool` on PATH. */
export function findPeer(named: string | undefined): string | undefined {
  if (named !== undefined) return executable(named) ? named : undefined;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, 'objtool')).find(executable);
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A step's command within the folder that `preparePeer` filled. */
export function peerSteps(objtool: readonly string[]): Record<'checksumOrig' | 'checksumPatched' | 'diff', string[]> {
  return {
    checksumOrig: [...objtool, 'klp', 'checksum', ORIG],
    checksumPatched: [...objtool, 'klp', 'checksum', PATCHED],
    diff: [...objtool, 'klp', 'diff', ORIG, PATCHED, 'out.o'],
  };
}

// The peer finds `vmlinux` and `Module.symvers` beside an original of this very name.
const ORIG = 'vmlinux.o';
const PATCHED = 'patched.o';

export function preparePeer(input: Input, folder: string): void {
  for (const [from, name] of [
    [input.orig, ORIG],
    [input.patched, PATCHED],
  ] as const) {
    const to = join(folder, name);
    copyFileSync(from, to);
    chmodSync(to, 0o644);
    fillEntrySizes(to);
  }
  if (input.listing !== undefined) symlinkSync(input.listing, join(folder, 'vmlinux'));
  if (input.symvers !== undefined) symlinkSync(input.symvers, join(folder, 'Module.symvers'));
  settle(folder);
}

/** Waits until the copies are on disk, so that writing them back does not run into the next measurement. */
export function settle(folder: string): void {
  for (const name of [ORIG, PATCHED]) {
    const fd = openSync(join(folder, name), 'r+');
    fsyncSync(fd);
    closeSync(fd);
  }
}

/** Entry sizes of x86-64 kernels. Clang's assembler before 20 leaves them 0, and the peer stops there. */
const ENTRY_SIZES: ReadonlyMap<string, number> = new Map([
  ['.altinstructions', 14],
  ['__ex_table', 12],
  ['.discard.annotate_insn', 8],
  ['.discard.annotate_data', 8],
]);

const E_SHOFF = 40;

function fillEntrySizes(path: string): void {
  const object = ElfObject.open(path);
  const header = new DataView(object.bytes.buffer, object.bytes.byteOffset);
  const table = Number(header.getBigUint64(E_SHOFF, object.little));
  const fd = openSync(path, 'r+');
  try {
    for (let section = 1; section < object.sectionCount; section++) {
      const size = ENTRY_SIZES.get(object.name(section));
      if (size === undefined || object.entsize(section) !== 0) continue;
      const field = Buffer.alloc(8);
      if (object.little) field.writeBigUInt64LE(BigInt(size));
      else field.writeBigUInt64BE(BigInt(size));
      writeSync(fd, field, 0, field.length, table + section * SHDR_SIZE + SH_ENTSIZE * 4);
    }
  } finally {
    closeSync(fd);
  }
}
