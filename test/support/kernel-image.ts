/** A small kernel's image as a build leaves it: text, the tables of kallsyms in one of their layouts, exports, ftrace sites, banner. */
import { gzipSync } from 'node:zlib';
import { headerAt } from './module-draft';
import { ElfWriter } from '../../src/elf/writer';
import { SHF_ALLOC, SHF_EXECINSTR } from '../../src/elf/constants';

/** Kernels whose tables differ in order, form of addresses or alignment. */
export type Layout = '5.10' | '6.1' | '6.12' | '6.12-up' | '6.12-arm64' | '7.3';

export interface Listed {
  address: number;
  letter: string;
  name: string;
}

export interface SmallImage {
  bytes: Buffer;
  /** What its list must say, in order. */
  list: Listed[];
  base: number;
}

const BASE = -0x7f000000;
const ARM64_BASE = -0x7fff80000000;
/** Where things lie from the base on. */
const AT = {
  functions: 0x1000,
  vermagic: 0x8000,
  banner: 0x8100,
  exports: 0x9000,
  strings: 0xa000,
  crcs: 0xb000,
  sites: 0xc000,
  tables: 0x10000,
  relocations: 0x30000,
  end: 0x40000,
};
const FUNCTIONS = 600;
const EXPORTS = 40;
export const VERMAGIC = '6.12.0-test SMP preempt mod_unload modversions ';
export const BANNER = 'Linux version 6.12.0-test (b@h) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP 2026\n';

/** `relr`: pointers of a raw image stand in place, else as addends of relocations. `all`: as with CONFIG_KALLSYMS_ALL. `versions`: as with CONFIG_MODVERSIONS. */
export function smallImage(
  layout: Layout,
  { relr = false, all = true, versions = true }: { relr?: boolean; all?: boolean; versions?: boolean } = {},
): SmallImage {
  const raw = layout === '6.12-arm64';
  const base = raw ? ARM64_BASE : BASE;
  const memory = Buffer.alloc(AT.end);
  const list = symbolsOf(base, !raw && layout !== '6.12-up' && layout !== '7.3', raw).filter(
    ({ letter, name }) => (all || /[tTA]/.test(letter)) && (versions || !name.includes('kcrctab')),
  );
  memory.write(`${VERMAGIC}\0`, AT.vermagic, 'latin1');
  memory.write(`${BANNER}\0`, AT.banner, 'latin1');
  if (all) writeExports(memory, list, base);
  const sites: number[] = [];
  for (let i = 0; i < FUNCTIONS; i += 2) sites.push(base + AT.functions + i * 16 + 4);
  const { relocations } = AT;
  sites.forEach((site, i) => {
    const place = AT.sites + i * 8;
    if (!raw || relr) memory.writeBigInt64LE(BigInt(site), place);
    else {
      memory.writeBigInt64LE(BigInt(base + place), relocations + i * 24);
      memory.writeBigInt64LE(0x403n, relocations + i * 24 + 8);
      memory.writeBigInt64LE(BigInt(site), relocations + i * 24 + 16);
    }
  });
  // Pointers enough to tell where a raw image was linked.
  if (raw) for (let i = 0; i < 1200; i++) memory.writeBigInt64LE(BigInt(base + i * 16), 0x38000 + i * 8);
  writeTables(memory, list, layout, base);
  if (!raw) return { bytes: elf(memory, base), list, base };
  memory.write('MZ', 0, 'latin1');
  memory.write('ARMd', 0x38, 'latin1');
  // How much memory it takes.
  memory.writeBigUInt64LE(BigInt(AT.end), 16);
  return { bytes: memory, list, base };
}

function symbolsOf(base: number, percpu: boolean, raw: boolean): Listed[] {
  const list: Listed[] = [];
  if (percpu) for (let i = 0; i < 3; i++) list.push({ address: i * 0x1000, letter: 'A', name: `percpu_${i}` });
  list.push({ address: base, letter: 'T', name: '_text' }, { address: base, letter: 'T', name: '_stext' });
  for (let i = 0; i < FUNCTIONS; i++)
    list.push({
      address: base + AT.functions + i * 16,
      letter: i % 3 === 0 ? 't' : 'T',
      // One name stands thirty times, and one is longer than the first byte of a length can say.
      name: i % 20 === 0 ? 'type_show' : i === 7 ? `long_${'x'.repeat(300)}` : `function_${i}`,
    });
  const marks: Array<[number, string, string]> = [
    [AT.vermagic, 'r', 'vermagic'],
    [AT.banner, 'D', 'linux_banner'],
    [AT.exports, 'R', '__start___ksymtab'],
    [AT.exports + EXPORTS * 12, 'R', '__stop___ksymtab'],
    [AT.crcs, 'R', '__start___kcrctab'],
    [AT.crcs + EXPORTS * 4, 'R', '__stop___kcrctab'],
    [AT.end, 'D', '_edata'],
    [AT.sites, 'D', '__start_mcount_loc'],
    [AT.sites + (FUNCTIONS / 2) * 8, 'D', '__stop_mcount_loc'],
  ];
  if (raw)
    marks.push(
      [AT.relocations, 'd', '__pi_rela_start'],
      [AT.relocations + (FUNCTIONS / 2) * 24, 'd', '__pi_rela_end'],
      [AT.end, 'D', '_end'],
    );
  for (const [at, letter, name] of marks) list.push({ address: base + at, letter, name });
  return list.sort((a, b) => (a.address < 0 === b.address < 0 ? a.address - b.address : b.address - a.address));
}

/** Some functions with plain names: those that are T. */
function exported(list: readonly Listed[]): Listed[] {
  return list.filter(({ name, letter }) => letter === 'T' && name.startsWith('function_')).slice(0, EXPORTS);
}

export const crcOf = (index: number): number => (0x9e3779b9 * (index + 1)) >>> 0;
export const namespaceOf = (index: number): string => (index % 5 === 0 ? 'TEST_NS' : '');

function writeExports(memory: Buffer, list: readonly Listed[], base: number): void {
  let strings = AT.strings;
  const string = (text: string): number => {
    const at = strings;
    strings += memory.write(`${text}\0`, at, 'latin1');
    return at;
  };
  exported(list).forEach(({ address, name }, i) => {
    const at = AT.exports + i * 12;
    memory.writeInt32LE(address - (base + at), at);
    memory.writeInt32LE(string(name) - (at + 4), at + 4);
    memory.writeInt32LE(string(namespaceOf(i)) - (at + 8), at + 8);
    memory.writeUInt32LE(crcOf(i), AT.crcs + i * 4);
  });
}

export function exportsOf(list: readonly Listed[]): string[] {
  return exported(list).map(({ name }) => name);
}

/** A token for each byte; those that no name has are two letters, or nothing that can be taken for a digit. */
const TOKENS = Array.from({ length: 256 }, (_, i) =>
  i > 0x20 && i < 0x7f ? String.fromCharCode(i) : `${String.fromCharCode(0x61 + (i % 26))}_${i < 128 ? 'a' : 'b'}`,
);

function writeTables(memory: Buffer, list: readonly Listed[], layout: Layout, base: number): void {
  const align = layout === '7.3' ? 4 : 8;
  let at = AT.tables + (layout === '7.3' ? 4 : 0);
  const pad = (to = align): void => {
    at = Math.ceil(at / to) * to;
  };
  const names = Buffer.concat(
    list.map(({ letter, name }) => {
      const text = Buffer.from(letter + name, 'latin1');
      const length = text.length < 128 ? [text.length] : [(text.length & 0x7f) | 0x80, text.length >>> 7];
      return Buffer.concat([Buffer.from(length), text]);
    }),
  );
  const markers: number[] = [];
  list.reduce((offset, { name }, i) => {
    if (i % 256 === 0) markers.push(offset);
    return offset + name.length + 1 + (name.length + 1 < 128 ? 1 : 2);
  }, 0);
  const tables: Record<string, () => void> = {
    numSyms: () => void memory.writeUInt32LE(list.length, at),
    names: () => void names.copy(memory, at),
    markers: () => markers.forEach((marker, i) => memory.writeUInt32LE(marker, at + i * 4)),
    tokens: () => void memory.write(TOKENS.map((token) => `${token}\0`).join(''), at, 'latin1'),
    tokenIndex: () =>
      void TOKENS.reduce((offset, token, i) => {
        memory.writeUInt16LE(offset, at + i * 2);
        return offset + token.length + 1;
      }, 0),
    offsets: () => list.forEach(({ address }, i) => memory.writeInt32LE(word(address, base + at + i * 4), at + i * 4)),
    base: () => void memory.writeBigInt64LE(layout === '6.12-arm64' ? 0n : BigInt(base), at),
    seqs: () => list.forEach((_, i) => memory.writeUIntBE(i, at + i * 3, 3)),
  };
  const sizes: Record<string, number> = {
    numSyms: 4,
    names: names.length,
    markers: markers.length * 4,
    tokens: TOKENS.reduce((sum, token) => sum + token.length + 1, 0),
    tokenIndex: 512,
    offsets: list.length * 4,
    base: 8,
    seqs: list.length * 3,
  };
  const word = (address: number, here: number): number => {
    if (layout === '7.3') return address - here;
    // Without SMP there are no per-CPU addresses to tell apart.
    if (layout === '6.12-arm64' || layout === '6.12-up') return address - base;
    return address >= 0 ? address : base - 1 - address;
  };
  for (const table of ORDER[layout]) {
    pad();
    tables[table]!();
    at += sizes[table]!;
  }
}

const ORDER: Record<Layout, readonly string[]> = {
  '5.10': ['offsets', 'base', 'numSyms', 'names', 'markers', 'tokens', 'tokenIndex'],
  '6.1': ['offsets', 'base', 'numSyms', 'names', 'markers', 'seqs', 'tokens', 'tokenIndex'],
  '6.12': ['numSyms', 'names', 'markers', 'tokens', 'tokenIndex', 'offsets', 'base', 'seqs'],
  '6.12-up': ['numSyms', 'names', 'markers', 'tokens', 'tokenIndex', 'offsets', 'base', 'seqs'],
  '6.12-arm64': ['numSyms', 'names', 'markers', 'tokens', 'tokenIndex', 'offsets', 'base', 'seqs'],
  '7.3': ['numSyms', 'names', 'markers', 'tokens', 'tokenIndex', 'offsets', 'seqs'],
};

/** A linked file without symbols: a program header, one section. */
function elf(memory: Buffer, base: number): Buffer {
  const writer = new ElfWriter({ machine: 62 });
  writer.section({ name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, align: 4096, content: memory });
  const file = Buffer.concat(Array.from(writer.chunks(), (chunk) => Buffer.from(chunk)));
  const header = headerAt(file, '.text');
  file.writeUInt16LE(2, 16);
  file.writeBigInt64LE(BigInt(base), header + 16);
  const program = Buffer.alloc(56);
  program.writeUInt32LE(1, 0);
  program.writeBigUInt64LE(file.readBigUInt64LE(header + 24), 8);
  program.writeBigInt64LE(BigInt(base), 16);
  program.writeBigUInt64LE(BigInt(memory.length), 32);
  program.writeBigUInt64LE(BigInt(memory.length), 40);
  file.writeBigUInt64LE(BigInt(file.length), 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  return Buffer.concat([file, program]);
}

/** A bzImage around a compressed kernel. */
export function bzImage(payload: Uint8Array): Buffer {
  const image = Buffer.alloc(0x1000 + payload.length);
  image.write('MZ', 0, 'latin1');
  image.writeUInt8(3, 0x1f1);
  image.writeUInt16LE(0xaa55, 0x1fe);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x20f, 0x206);
  image.writeUInt32LE(0x1000 - 4 * 512, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  Buffer.from(payload).copy(image, 0x1000);
  return image;
}

/** As kbuild appends it to every stream but gzip's. */
export function withSize(stream: Uint8Array, size: number): Buffer {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(size);
  return Buffer.concat([stream, word]);
}

/** An EFI zboot image around a compressed kernel. */
export function zboot(payload: Uint8Array): Buffer {
  const image = Buffer.alloc(0x200);
  image.write('MZ', 0, 'latin1');
  image.write('zimg', 4, 'latin1');
  image.writeUInt32LE(0x200, 8);
  image.writeUInt32LE(payload.length, 12);
  image.write('gzip', 0x18, 'latin1');
  return Buffer.concat([image, payload]);
}

export const gzipped = (bytes: Uint8Array): Buffer => gzipSync(bytes);
