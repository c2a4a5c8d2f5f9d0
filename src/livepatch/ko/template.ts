import { archOf, writable } from '../../arch';
import { machineName } from '../../elf/machines';
import { KlpflowError } from '../../diagnostics';
import { R_OFFSET, R_SYM, R_TYPE, RELA_WORDS, SHT_NOBITS, SHT_RELA, u64, type ElfObject } from '../../elf';

const THIS_MODULE = '.gnu.linkonce.this_module';
/** struct module: state, list, then the name, in every release; MODULE_NAME_LEN is 56 on 64-bit kernels. */
export const NAME_OFFSET = 24;
export const NAME_ROOM = 56;
/** struct modversion_info: u64 CRC, char name[56]. */
const VERSION = 64;

/** What any module of a kernel says about it. */
export interface ModuleTemplate {
  path: string;
  /** e_machine. */
  machine: number;
  vermagic: string;
  /** sizeof(struct module) in bytes, and where it holds the pointers to init and exit; undefined where the module has none. */
  size: number;
  init: number | undefined;
  exit: number | undefined;
  /** Built with retpolines, as its kernel then is. */
  retpoline: boolean;
  /** CRCs of imported symbols by name. */
  versions: ReadonlyMap<string, number>;
  /** Whether it has `__versions`, and whether it has the form without a limit on names (CONFIG_EXTENDED_MODVERSIONS, 6.14 on). */
  basic: boolean;
  extended: boolean;
}

/** Reads a module's facts. @throws KlpflowError `not-a-module`, `malformed-elf` */
export function readTemplate(object: ElfObject): ModuleTemplate {
  const refuse = (why: string): never => {
    throw new KlpflowError('not-a-module', `${object.path} ${why}`, { object: object.path });
  };
  if (archOf(object.machine, object.path).modules === null)
    refuse(`is for ${machineName(object.machine)}, not for ${writable()}`);
  const sections = new Map<string, number>();
  for (let section = 1; section < object.sectionCount; section++) {
    const name = object.name(section);
    if (!sections.has(name)) sections.set(name, section);
  }
  const self = sections.get(THIS_MODULE);
  const modinfo = sections.get('.modinfo');
  if (self === undefined || modinfo === undefined || object.type(self) === SHT_NOBITS)
    return refuse(`is not a finished kernel module: it has no ${self === undefined ? THIS_MODULE : '.modinfo'}`);
  const info = keys(object.content(modinfo));
  const vermagic = info.get('vermagic');
  if (vermagic === undefined) return refuse('has no vermagic');
  const content = object.content(self);
  const name = text(content.subarray(NAME_OFFSET, NAME_OFFSET + NAME_ROOM));
  if (info.has('name') && info.get('name') !== name)
    refuse(`has its name elsewhere than at byte ${NAME_OFFSET} of struct module`);
  const part = (wanted: string): Uint8Array | undefined => {
    const section = sections.get(wanted);
    return section === undefined || object.type(section) === SHT_NOBITS ? undefined : object.content(section);
  };
  const [basic, crcs, names] = [part('__versions'), part('__version_ext_crcs'), part('__version_ext_names')];
  const extended = crcs !== undefined && names !== undefined;
  return {
    path: object.path,
    machine: object.machine,
    vermagic,
    size: content.length,
    ...entryPoints(object, self),
    retpoline: info.get('retpoline') === 'Y',
    versions: new Map([
      ...(basic === undefined ? [] : basicVersions(basic)),
      ...(extended ? extendedVersions(crcs, names) : []),
    ]),
    basic: basic !== undefined,
    extended,
  };
}

/** The two relocations of struct module; their symbols tell which is which. */
function entryPoints(object: ElfObject, self: number): { init: number | undefined; exit: number | undefined } {
  const found: Record<string, number> = {};
  const { address64 } = archOf(object.machine, object.path);
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.type(section) !== SHT_RELA || object.info(section) !== self) continue;
    const relas = object.relas(section);
    for (let at = 0; at < relas.length; at += RELA_WORDS) {
      const offset = u64(relas, at + R_OFFSET);
      if (
        relas[at + R_SYM]! >= object.symbolCount ||
        relas[at + R_TYPE] !== address64 ||
        offset + 8 > object.size(self)
      )
        object.malformed(object.offset(section), `a relocation of ${THIS_MODULE} is not that of a pointer in it`);
      found[object.symbolName(relas[at + R_SYM]!)] = offset;
    }
  }
  return { init: found['init_module'], exit: found['cleanup_module'] };
}

/** NUL-separated `key=value`; the first of each key. */
function keys(content: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of Buffer.from(content).toString('latin1').split('\0')) {
    const at = line.indexOf('=');
    if (at > 0 && !found.has(line.slice(0, at))) found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}

function* basicVersions(records: Uint8Array): Generator<[name: string, crc: number]> {
  const view = new DataView(records.buffer, records.byteOffset, records.length);
  for (let at = 0; at + VERSION <= records.length; at += VERSION)
    yield [text(records.subarray(at + 8, at + VERSION)), view.getUint32(at, true)];
}

/** A u32 for each NUL-terminated name. */
function* extendedVersions(crcs: Uint8Array, names: Uint8Array): Generator<[name: string, crc: number]> {
  const view = new DataView(crcs.buffer, crcs.byteOffset, crcs.length);
  const list = Buffer.from(names).toString('latin1').split('\0').slice(0, -1);
  for (let i = 0; i < list.length && (i + 1) * 4 <= crcs.length; i++) yield [list[i]!, view.getUint32(i * 4, true)];
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1');
}
