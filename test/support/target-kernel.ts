import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ElfObject } from '../../src/elf';
import {
  readTemplate,
  writeModule,
  type ModuleOptions,
  type ModuleResult,
  type ModuleTemplate,
  type TargetKernel,
} from '../../src/livepatch/ko';
import type { LivepatchObject } from '../../src/livepatch/object';
import { Symvers } from '../../src/kernel/symvers';
import { STRUCTS } from '../../bench/kernel-types';
import { code, object, ptr64, u32, type Body } from './elf-builder';
import { ModuleFile } from './module-file';

export { STRUCTS };

export const SYMVERS = `${[
  ['0x11111111', 'module_layout', 'vmlinux', 'EXPORT_SYMBOL', ''],
  ['0x22222222', 'klp_enable_patch', 'vmlinux', 'EXPORT_SYMBOL_GPL', ''],
  ['0x33333333', '__x86_return_thunk', 'vmlinux', 'EXPORT_SYMBOL', ''],
  ['0x44444444', '_printk', 'vmlinux', 'EXPORT_SYMBOL', ''],
  ['0x55555555', 'crypto_secret', 'vmlinux', 'EXPORT_SYMBOL_GPL', 'CRYPTO_INTERNAL'],
  ['0x66666666', 'kvm_private', 'vmlinux', 'EXPORT_SYMBOL_GPL', 'module:kvm,kvm-intel'],
  ['0x77777777', 'mii_link_ok', 'drivers/net/mii', 'EXPORT_SYMBOL', ''],
  ['0x88888888', 'a_function_whose_name_has_exactly_fifty_six_characters_x', 'vmlinux', 'EXPORT_SYMBOL', ''],
  ['0x99999999', 'patched_export', 'vmlinux', 'EXPORT_SYMBOL', ''],
]
  .map((fields) => fields.join('\t'))
  .join('\n')}\n`;

export const TARGET: TargetKernel = { symvers: Symvers.parse(SYMVERS, 'Module.symvers'), structs: STRUCTS };

export const OPTIONS: ModuleOptions = { name: 'livepatch_test', version: '9.8.7' };

export interface TemplateDraft {
  vermagic?: string;
  name?: string;
  size?: number;
  init?: number;
  exit?: number | null;
  /** CRCs by name. */
  versions?: Record<string, number>;
  /** How they are recorded. */
  form?: 'basic' | 'extended' | 'both' | 'none';
}

/** A module of the kernel that STRUCTS and SYMVERS describe, or of one that differs. */
export function templateOf(folder: string, draft: TemplateDraft = {}): ModuleTemplate {
  const {
    vermagic = '6.12.0 SMP preempt mod_unload modversions ',
    name = 'loop',
    size = 1024,
    init = 328,
    exit = 904,
    versions = { module_layout: 0x11111111 },
    form = 'basic',
  } = draft;
  const text = (value: string, room: number): Uint8Array =>
    Buffer.concat([Buffer.from(value), Buffer.alloc(room)]).subarray(0, room);
  const built = object().func('init_module', [0xc3]).func('cleanup_module', [0xc3]);
  const self: Array<[at: number, what: Body, width: number]> = [
    [24, text(name, 56), 56],
    [init, [ptr64('init_module')], 8],
  ];
  if (exit !== null) self.push([exit, [ptr64('cleanup_module')], 8]);
  const body: Body[] = [];
  let at = 0;
  for (const [offset, what, width] of self.sort(([a], [b]) => a - b)) {
    body.push(new Uint8Array(offset - at), what);
    at = offset + width;
  }
  built.data('__this_module', code(...body, new Uint8Array(size - at)), {
    section: '.gnu.linkonce.this_module',
    align: 64,
  });
  built.section('.modinfo', { body: Buffer.from(`license=GPL\0name=loop\0vermagic=${vermagic}\0`) });
  const records = Object.entries(versions);
  if (form === 'basic' || form === 'both')
    built.section('__versions', {
      flags: 2,
      align: 32,
      body: code(...records.map(([symbol, crc]) => code(u32(crc), u32(0), text(symbol, 56)))),
    });
  if (form === 'extended' || form === 'both') {
    built.section('__version_ext_crcs', { flags: 2, body: records.map(([, crc]) => u32(crc)) });
    built.section('__version_ext_names', {
      flags: 2,
      body: Buffer.from(records.map(([symbol]) => `${symbol}\0`).join('')),
    });
  }
  const path = join(folder, 'template.ko');
  writeFileSync(path, built.bytes());
  return readTemplate(ElfObject.open(path));
}

/** The module's bytes. @throws where it is refused */
export function bytesOf({ chunks, diagnostics }: ModuleResult): Buffer {
  if (chunks === null)
    throw new Error(`refused: ${diagnostics.map(({ code: name, message }) => `${name}: ${message}`).join('; ')}`);
  return Buffer.concat(Array.from(chunks(), (chunk) => Buffer.from(chunk)));
}

/** Writes a module of these objects to `path` and reads it with binutils. @throws where it is refused */
export function moduleOf(
  path: string,
  objects: readonly LivepatchObject[],
  kernel: TargetKernel = TARGET,
  options: Partial<ModuleOptions> = {},
): ModuleFile {
  writeFileSync(path, bytesOf(writeModule(objects, kernel, { ...OPTIONS, ...options })));
  return new ModuleFile(path);
}
