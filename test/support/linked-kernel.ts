import { writeFileSync } from 'node:fs';
import { ENDBR } from './fields';
import { ElfWriter } from '../../src/elf/writer';
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  STB_GLOBAL,
  STB_LOCAL,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
} from '../../src/elf/constants';
import { headerAt } from './module-draft';

/** Where the kernel's text begins, and each of the other sections behind it. */
const BASE = 0xffffffff81000000n;
const STEP = 0x100000n;

interface Placed {
  name: string;
  section: keyof typeof SECTIONS;
  offset: number;
  size: number;
  type: number;
  binding: number;
}

const SECTIONS = {
  '.text': SHF_ALLOC | SHF_EXECINSTR,
  '.data': SHF_ALLOC | SHF_WRITE,
  // Writable by its flags, as that of a linked kernel with data that is read-only after boot.
  '.rodata': SHF_ALLOC | SHF_WRITE,
  '.init.text': SHF_ALLOC | SHF_EXECINSTR,
  __mcount_loc: SHF_ALLOC,
  '.ibt_endbr_seal': SHF_ALLOC,
} as const;
const NAMES = Object.keys(SECTIONS) as Array<keyof typeof SECTIONS>;

/** A linked vmlinux, as far as symbols, sizes and ftrace sites go. Symbols stand in the file in the order given, at rising addresses. */
export class LinkedKernel {
  private readonly placed: Placed[] = [];
  private readonly sites: Array<{ section: keyof typeof SECTIONS; offset: number }> = [];
  /** Preambles `mov $hash,%eax`. */
  private readonly hashes: Array<{ section: keyof typeof SECTIONS; offset: number; hash: number }> = [];
  private readonly seals: Array<{ section: keyof typeof SECTIONS; offset: number }> = [];
  /** Whether it patches lock prefixes, as kernels before 7.3 do. */
  locks = true;
  private readonly used: Record<keyof typeof SECTIONS, number> = {
    '.text': 16,
    '.data': 16,
    '.rodata': 16,
    '.init.text': 16,
    __mcount_loc: 0,
    '.ibt_endbr_seal': 0,
  };

  func(
    name: string,
    options: { size?: number; site?: boolean; init?: boolean; local?: boolean; sealed?: boolean; hash?: number } = {},
  ): this {
    const { size = 64, site = true, init = false, local = false, sealed = false, hash } = options;
    const section = init ? '.init.text' : '.text';
    const offset = this.place(section, size + (hash === undefined ? 0 : 16)) + (hash === undefined ? 0 : 16);
    if (hash !== undefined) this.hashes.push({ section, offset: offset - 16, hash });
    this.placed.push({ name, section, offset, size, type: STT_FUNC, binding: local ? STB_LOCAL : STB_GLOBAL });
    if (sealed) this.seals.push({ section, offset });
    if (site) this.sites.push({ section, offset: offset + 4 });
    return this;
  }

  data(name: string, size: number, local = false, section: '.data' | '.rodata' = '.data'): this {
    this.placed.push({
      name,
      section,
      offset: this.place(section, Math.max(size, 8)),
      size,
      type: STT_OBJECT,
      binding: local ? STB_LOCAL : STB_GLOBAL,
    });
    return this;
  }

  /** One more name for the function before. */
  alias(name: string): this {
    this.placed.push({ ...this.placed.at(-1)!, name });
    return this;
  }

  write(path: string): string {
    const writer = new ElfWriter({ machine: 62 });
    const numbers = new Map(NAMES.map((name) => [name, 0]));
    const mcount = Buffer.alloc(this.sites.length * 8);
    this.sites.forEach(({ section, offset }, i) =>
      mcount.writeBigUInt64LE(this.address(section) + BigInt(offset), i * 8),
    );
    const seal = Buffer.alloc(this.seals.length * 4);
    this.seals.forEach(({ section, offset }, i) =>
      seal.writeInt32LE(
        Number(this.address(section) + BigInt(offset) - this.address('.ibt_endbr_seal')) - i * 4,
        i * 4,
      ),
    );
    for (const name of NAMES)
      numbers.set(
        name,
        writer.section({
          name,
          flags: SECTIONS[name],
          align: 16,
          content: name === '__mcount_loc' ? mcount : name === '.ibt_endbr_seal' ? seal : this.content(name),
        }),
      );
    const symbol = (
      name: string,
      section: keyof typeof SECTIONS,
      offset: number,
      size = 0,
      type = STT_NOTYPE,
      binding = STB_GLOBAL,
    ): unknown =>
      writer.symbol({
        name,
        type,
        binding,
        section: numbers.get(section)!,
        value: this.address(section) + BigInt(offset),
        size,
      });
    symbol('_stext', '.text', 0);
    symbol('__start_rodata', '.rodata', 0);
    symbol('__end_rodata', '.rodata', this.used['.rodata'] + 64);
    symbol('__init_begin', '.init.text', 0);
    symbol('__init_end', '.init.text', this.used['.init.text']);
    symbol('__start_mcount_loc', '__mcount_loc', 0);
    symbol('__stop_mcount_loc', '__mcount_loc', mcount.length);
    // The table that a kernel with return thunks has; what is in it does not matter.
    symbol('__return_sites', '.data', 0);
    symbol('__return_sites_end', '.data', 4);
    if (this.locks) {
      symbol('__smp_locks', '.data', 0);
      symbol('__smp_locks_end', '.data', 4);
    }
    for (const { name, section, offset, size, type, binding } of this.placed)
      symbol(name, section, offset, size, type, binding);
    const file = Buffer.concat(Array.from(writer.chunks(), (chunk) => Buffer.from(chunk)));
    file.writeUInt16LE(2, 16);
    for (const name of NAMES) file.writeBigUInt64LE(this.address(name), headerAt(file, name) + 16);
    writeFileSync(path, file);
    return path;
  }

  /** The same symbols as /proc/kallsyms lists them. */
  kallsyms(): string {
    const lines = this.placed.map(({ name, section, offset, type, binding }) => {
      const letter = type === STT_FUNC ? 't' : 'd';
      return {
        address: this.address(section) + BigInt(offset),
        text: `${binding === STB_LOCAL ? letter : letter.toUpperCase()} ${name}`,
      };
    });
    lines.push({ address: BASE, text: 'T _stext' });
    return lines
      .sort((a, b) => (a.address < b.address ? -1 : 1))
      .map(({ address, text }) => `${address.toString(16)} ${text}\n`)
      .join('');
  }

  private content(section: keyof typeof SECTIONS): Uint8Array {
    const bytes = Buffer.alloc(this.used[section] + 64);
    for (const { section: own, offset, type } of this.placed)
      if (own === section && type === STT_FUNC) bytes.set(ENDBR, offset);
    for (const { section: own, offset, hash } of this.hashes) {
      if (own !== section) continue;
      bytes[offset] = 0xb8;
      bytes.writeUInt32LE(hash, offset + 1);
    }
    return bytes;
  }

  private address(section: keyof typeof SECTIONS): bigint {
    return BASE + STEP * BigInt(NAMES.indexOf(section));
  }

  private place(section: keyof typeof SECTIONS, size: number): number {
    const offset = this.used[section];
    this.used[section] = offset + Math.ceil(size / 16) * 16;
    return offset;
  }
}
