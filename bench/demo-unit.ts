/**
 * A unit of a kernel, compiled by nobody: `greeting_show` counts its calls and prints a text, the patch changes the text. With it what a livepatch of it asks for:
 * the kernel's exports, names and types, and a module of its own.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  EM_X86_64,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHN_ABS,
  SHT_NOBITS,
  STB_GLOBAL,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
} from '../src/elf/constants';
import { ElfWriter, type Rela } from '../src/elf/writer';
import { STRUCTS, kernelTypes } from './kernel-types';

export interface DemoFiles {
  orig: string;
  patched: string;
  symvers: string;
  /** As `System.map` is. */
  listing: string;
  btf: string;
  template: string;
}

const AX = SHF_ALLOC | SHF_EXECINSTR;
const WA = SHF_ALLOC | SHF_WRITE;

/** call __fentry__; addl $1,greeting_count(%rip); mov $text,%rsi; call seq_printf; xor %eax,%eax; jmp __x86_return_thunk */
const CODE = [
  ...[0xe8, 0, 0, 0, 0],
  ...[0x83, 0x05, 0, 0, 0, 0, 1],
  ...[0x48, 0xc7, 0xc6, 0, 0, 0, 0],
  ...[0xe8, 0, 0, 0, 0],
  ...[0x31, 0xc0],
  ...[0xe9, 0, 0, 0, 0],
];
const AT = { fentry: 1, count: 7, text: 15, print: 20, leave: 27, leaves: 26 };
/** The return address is all that is on the stack; behind the function nothing is known. */
const ORC = Uint8Array.of(8, 0, 0, 0, 0x05, 0x02, 0, 0, 0, 0, 0, 0);

const EXPORTS: ReadonlyArray<readonly [name: string, version: number, type: string]> = [
  ['module_layout', 0x11111111, 'EXPORT_SYMBOL'],
  ['klp_enable_patch', 0x22222222, 'EXPORT_SYMBOL_GPL'],
  ['__x86_return_thunk', 0x33333333, 'EXPORT_SYMBOL'],
  ['__fentry__', 0x44444444, 'EXPORT_SYMBOL'],
  ['seq_printf', 0x55555555, 'EXPORT_SYMBOL'],
];
const VERMAGIC = '6.12.0-demo SMP preempt mod_unload modversions ';

/** Writes all of them into a folder. */
export async function writeDemoUnit(folder: string, was: string, is: string): Promise<DemoFiles> {
  const at = (name: string): string => join(folder, name);
  const files = {
    orig: at('greeting.orig.o'),
    patched: at('greeting.patched.o'),
    symvers: at('Module.symvers'),
    listing: at('System.map'),
    btf: at('types.btf'),
    template: at('template.ko'),
  };
  await unit(was).write(files.orig);
  await unit(is).write(files.patched);
  writeFileSync(
    files.symvers,
    EXPORTS.map(([name, version, type]) => `0x${version.toString(16)}\t${name}\tvmlinux\t${type}\t\n`).join(''),
  );
  const names = [...EXPORTS.map(([name]) => `T ${name}`), 't greeting_show', 'b greeting_count'];
  const address = (i: number): string => (0xffffffff81000000n + BigInt(i) * 64n).toString(16);
  writeFileSync(files.listing, ['T _stext', ...names].map((name, i) => `${address(i)} ${name}\n`).join(''));
  writeFileSync(files.btf, kernelTypes());
  await templateModule().write(files.template);
  return files;
}

function unit(text: string): ElfWriter {
  const writer = new ElfWriter({ machine: EM_X86_64 });
  writer.symbol({ name: 'greeting.c', type: STT_FILE, reserved: SHN_ABS });
  const strings = writer.section({
    name: '.rodata.str1.1',
    flags: SHF_ALLOC | SHF_MERGE | SHF_STRINGS,
    entsize: 1,
    content: Buffer.from(`${text}\0`),
  });
  const bss = writer.section({ name: '.bss.greeting_count', type: SHT_NOBITS, flags: WA, align: 4, size: 4 });
  const code = writer.section({ name: '.text.greeting_show', flags: AX, align: 16, content: Uint8Array.from(CODE) });
  const count = writer.symbol({ name: 'greeting_count', type: STT_OBJECT, section: bss, size: 4 });
  const show = writer.symbol({ name: 'greeting_show', type: STT_FUNC, section: code, size: CODE.length });
  const outside = (name: string): number => writer.symbol({ name, binding: STB_GLOBAL });
  const call = (offset: number, name: string): Rela => ({
    offset,
    type: R_X86_64_PLT32,
    symbol: outside(name),
    addend: -4,
  });
  writer.relas(code, [
    call(AT.fentry, '__fentry__'),
    { offset: AT.count, type: R_X86_64_PC32, symbol: count, addend: -5 },
    { offset: AT.text, type: R_X86_64_32S, symbol: writer.sectionSymbol(strings), addend: 0 },
    call(AT.print, 'seq_printf'),
    call(AT.leave, '__x86_return_thunk'),
  ]);
  // What objtool and the compiler note of it, each place by a relocation.
  const noted = (name: string, width: number, places: readonly number[], flags = SHF_ALLOC): void => {
    const section = writer.section({ name, flags, align: 1, content: new Uint8Array(width * places.length) });
    const type = width === 8 ? R_X86_64_64 : R_X86_64_PC32;
    writer.relas(
      section,
      places.map((addend, i) => ({ offset: i * width, type, symbol: show, addend })),
    );
  };
  noted('__mcount_loc', 8, [0]);
  noted('.return_sites', 4, [AT.leaves]);
  noted('.orc_unwind_ip', 4, [0, CODE.length]);
  writer.section({ name: '.orc_unwind', flags: SHF_ALLOC, align: 1, content: ORC });
  return writer;
}

/** A module that does nothing: of the kernel's modules it tells the version magic, and how they name versions. */
function templateModule(): ElfWriter {
  const { size, offsets } = STRUCTS.module;
  const writer = new ElfWriter({ machine: EM_X86_64 });
  const itself = Buffer.alloc(size);
  itself.write('demo', offsets.name);
  const own = { name: '.gnu.linkonce.this_module', flags: WA, align: 64 };
  const target = writer.section({ ...own, content: itself });
  const entries = { init: 'init_module', exit: 'cleanup_module' } as const;
  const relas = (['init', 'exit'] as const).map((member): Rela => {
    const text = { name: `.${member}.text`, flags: AX, align: 16, content: Uint8Array.of(0xc3) };
    const symbol = {
      name: entries[member],
      type: STT_FUNC,
      binding: STB_GLOBAL,
      section: writer.section(text),
      size: 1,
    };
    return { offset: offsets[member], type: R_X86_64_64, symbol: writer.symbol(symbol), addend: 0 };
  });
  writer.relas(target, relas);
  writer.section({
    name: '.modinfo',
    flags: SHF_ALLOC,
    content: Buffer.from(`license=GPL\0name=demo\0vermagic=${VERMAGIC}\0`),
  });
  const [name, version] = EXPORTS[0]!;
  const record = Buffer.alloc(64);
  record.writeUInt32LE(version, 0);
  record.write(name, 8);
  writer.section({ name: '__versions', flags: SHF_ALLOC, align: 32, content: record });
  return writer;
}
