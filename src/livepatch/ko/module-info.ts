import { SHF_ALLOC } from '../../elf';
import type { LivepatchObject } from '../object';
import type { ModuleImage } from './image';
import type { Imports, Version } from './imports';
import type { Platform } from './platform';
import { NAME_ROOM, type ModuleTemplate } from './template';
import type { ModuleOptions } from './types';

/** `.modinfo`: what the loader and modinfo(8) read. */
export function addModinfo(
  image: ModuleImage,
  objects: readonly LivepatchObject[],
  imports: Imports,
  platform: Platform,
  options: ModuleOptions,
): void {
  const namespaces = [...new Set([...imports.namespaces, ...objects.flatMap(({ importNs }) => importNs)])].sort();
  const from = objects.map(({ name, provenance: { orig, patched } }) => `${name}:${orig}:${patched}`);
  const lines: Array<[key: string, value: string]> = [
    ['license', 'GPL'],
    ['livepatch', 'Y'],
    ...(options.description === undefined ? [] : [['description', options.description] as [string, string]]),
    ...namespaces.map((namespace): [string, string] => ['import_ns', namespace]),
    ['klpflow', [options.version, ...from].join(' ')],
    ['depends', imports.depends.join(',')],
    ...(platform.retpoline ? [['retpoline', 'Y'] as [string, string]] : []),
    ['name', options.name],
    ['vermagic', platform.vermagic],
  ];
  // Control characters of an object or a command line would end a line early and begin another.
  const text = lines.map(([key, value]) => `${key}=${value.replace(/[\0-\x1f\x7f]/g, '?')}\0`).join('');
  image.section('.modinfo', SHF_ALLOC).append(new TextEncoder().encode(text));
}

/** struct modversion_info: u64 CRC, char name[56]. */
const RECORD = 64;

/** Versions of imported symbols, in the forms that the kernel's own modules have. */
export function addVersions(
  image: ModuleImage,
  versions: readonly Version[],
  template: ModuleTemplate | undefined,
): void {
  if (versions.length === 0) return;
  const encoder = new TextEncoder();
  if (template === undefined || template.basic || !template.extended) {
    const short = versions.filter(({ name }) => Buffer.byteLength(name) < NAME_ROOM);
    const records = new Uint8Array(short.length * RECORD);
    const view = new DataView(records.buffer);
    short.forEach(({ name, crc }, i) => {
      view.setUint32(i * RECORD, crc, true);
      records.set(encoder.encode(name), i * RECORD + 8);
    });
    image.section('__versions', SHF_ALLOC).append(records, 32);
  }
  if (template?.extended !== true) return;
  const crcs = new Uint8Array(versions.length * 4);
  versions.forEach(({ crc }, i) => new DataView(crcs.buffer).setUint32(i * 4, crc, true));
  image.section('__version_ext_crcs', SHF_ALLOC).append(crcs, 8);
  image
    .section('__version_ext_names', SHF_ALLOC)
    .append(encoder.encode(versions.map(({ name }) => `${name}\0`).join('')));
}
