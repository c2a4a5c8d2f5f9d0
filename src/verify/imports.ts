import { SHN_UNDEF, STB_WEAK, STT_SECTION } from '../elf';
import type { Context } from './context';
import type { ModuleInfo } from './modinfo';

/** Names in `__versions` records. */
const NAME_BYTES = 56;
const RECORD = 64;

/** Symbols that the loader must find through exports, and their versions. */
export function checkImports(
  context: Context,
  versions: ReadonlyMap<string, number> | null,
  { vermagic, imported }: ModuleInfo,
): void {
  const { module, findings, exports, template } = context;
  const needed = module.symbols.filter(
    ({ index, section, binding, type }) =>
      index > 0 && section === SHN_UNDEF && binding !== STB_WEAK && type !== STT_SECTION,
  );
  for (const symbol of needed) {
    if (symbol.name.startsWith('.klp.')) continue; // klp-symbols says what is wrong with it
    const known = exports?.get(symbol.name);
    if (exports !== null && known === undefined)
      findings.add(
        'verify-import',
        { symbol },
        `${symbol.name} is undefined, and nothing exports it: the module would not load`,
      );
    if (known?.namespace.startsWith('module:'))
      findings.add('verify-import', { symbol }, `${symbol.name} is exported to ${known.namespace.slice(7)} only`);
    else if (known !== undefined && known.namespace !== '' && !imported.has(known.namespace))
      findings.add(
        'verify-import',
        { symbol },
        `${symbol.name} is exported in the namespace ${known.namespace}, and there is no import_ns=${known.namespace}`,
      );
  }
  if (exports === null && needed.length > 0)
    findings.add('verify-not-checked', undefined, `${needed.length} imported symbols: no --symvers was given`);

  const expected = template?.versioned ?? / modversions( |$)/.test(vermagic ?? '');
  if (versions === null) {
    if (expected)
      findings.add(
        'verify-version',
        undefined,
        'there is no __versions section, and the kernel was built with symbol versions',
      );
    return;
  }
  for (const name of ['module_layout', ...needed.map((symbol) => symbol.name)]) {
    const crc = versions.get(name);
    if (crc === undefined) {
      if (!name.startsWith('.klp.'))
        findings.add('verify-version', undefined, `${name} has no version record, the kernel would refuse the module`);
      continue;
    }
    const known = exports?.get(name);
    if (known !== undefined && known.crc !== crc)
      findings.add(
        'verify-version',
        undefined,
        `${name} has version ${word(crc)}, the kernel exports ${word(known.crc)}`,
      );
  }
}

/** CRCs by name from `__versions`, or from the extended form; null where there is neither. */
export function readVersions({ module, findings }: Context): ReadonlyMap<string, number> | null {
  const found = new Map<string, number>();
  const plain = module.section('__versions');
  const crcs = module.section('__version_ext_crcs');
  const names = module.section('__version_ext_names');
  if (plain !== undefined) {
    if (plain.size % RECORD !== 0)
      findings.add('verify-version', { section: plain }, `${plain.size} bytes are not whole records of ${RECORD}`);
    for (let at = 0; at + RECORD <= plain.bytes.length; at += RECORD) {
      const record = Buffer.from(plain.bytes.buffer, plain.bytes.byteOffset + at, RECORD);
      const end = record.indexOf(0, 8);
      if (end < 0)
        findings.add(
          'verify-version',
          { section: plain, offset: at },
          `the name is not ended within ${NAME_BYTES} bytes`,
        );
      found.set(record.toString('utf8', 8, end < 0 ? RECORD : end), record.readUInt32LE(0));
      if (record.readUInt32LE(4) !== 0)
        findings.add('verify-version', { section: plain, offset: at }, 'the CRC has more than 32 bits');
    }
  }
  if (crcs !== undefined && names !== undefined) {
    const list = Buffer.from(names.bytes)
      .toString('utf8')
      .split('\0')
      .filter((name) => name !== '');
    if (crcs.bytes.length !== list.length * 4)
      findings.add('verify-version', { section: crcs }, `${crcs.bytes.length / 4} CRCs for ${list.length} names`);
    const view = new DataView(crcs.bytes.buffer, crcs.bytes.byteOffset, crcs.bytes.length);
    list.forEach((name, i) => {
      if (i * 4 + 4 <= view.byteLength) found.set(name, view.getUint32(i * 4, true));
    });
  }
  return plain === undefined && crcs === undefined ? null : found;
}

const word = (crc: number): string => `0x${crc.toString(16).padStart(8, '0')}`;
