import { PlainElf, PLAIN_FUNC, PLAIN_OBJECT, type PlainRela, type PlainSymbol } from './plain-elf';

/** What a livepatch object for klp-build says, whoever wrote it: every reference by what it reaches, no offset of a section that others share. */
export interface KlpContent {
  /** Names of klp symbols. */
  klpSymbols: string[];
  /** Records of .init.klp_funcs: `old name,position > new name`. */
  funcs: string[];
  /** Strong undefined names. */
  imports: string[];
  /** Functions: bytes in hexadecimal digits, and references. */
  code: Record<string, { bytes: string; references: string[] }>;
  /** Named data, likewise. */
  data: Record<string, { bytes: string; references: string[] }>;
  /** Entries of special sections: bytes, and references by field; sorted. */
  entries: Record<string, string[]>;
  /** klp relocations: place, type, symbol and addend; sorted. */
  klpRelocs: string[];
  /** Size of every section with content, unless its name begins with one of `OWN`. */
  sections: Record<string, number>;
}

/** Entry sizes in Linux 7.2. */
const ENTRIES: Record<string, number> = {
  '.altinstructions': 14,
  __bug_table: 16,
  __ex_table: 12,
  __jump_table: 16,
  '.static_call_sites': 8,
  '.smp_locks': 4,
  __mcount_loc: 8,
  '.discard.annotate_insn': 8,
  '.discard.annotate_data': 8,
  '.discard.unwind_hints': 12,
  '.discard.ibt_endbr_noseal': 8,
};
const OWN = ['.discard.klpflow', '.symtab', '.strtab', '.shstrtab', '.rela'];
const WEAK = 2;
const UNDEFINED = 0;
const [PROGBITS, NOBITS] = [1, 8];
const PC_RELATIVE = new Set([2, 4]);
const TYPES: Record<number, string> = { 1: '64', 2: 'PC32', 4: 'PLT32', 10: '32', 11: '32S', 24: 'PC64' };

export function klpContent(path: string): KlpContent {
  const elf = new PlainElf(path);
  const sized = (type: number): PlainSymbol[] =>
    elf.symbols.filter(
      (symbol) =>
        symbol.type === type &&
        symbol.section !== UNDEFINED &&
        symbol.size > 0 &&
        !(elf.sectionName(symbol.section) in ENTRIES),
    );
  const body = ({ section, value, size }: PlainSymbol): { bytes: string; references: string[] } => ({
    bytes: elf.content(section).toString('hex', value, value + size),
    references: elf
      .relas(section)
      .filter(({ offset }) => offset >= value && offset < value + size)
      .map((rela) => `+0x${(rela.offset - value).toString(16)} ${reference(elf, rela, section)}`),
  });
  const all = <T>(symbols: PlainSymbol[], of: (symbol: PlainSymbol) => T): Record<string, T> =>
    Object.fromEntries(symbols.map((symbol) => [symbol.name, of(symbol)]));
  const numbers = Array.from({ length: elf.sectionCount }, (_, i) => i).filter(
    (i) => [PROGBITS, NOBITS].includes(elf.shape(i).type) && !OWN.some((own) => elf.sectionName(i).startsWith(own)),
  );
  const sections: Record<string, number> = {};
  for (const i of numbers) sections[elf.sectionName(i)] = (sections[elf.sectionName(i)] ?? 0) + elf.shape(i).size;
  return {
    klpSymbols: [...new Set(elf.symbols.map(({ name }) => name).filter((name) => name.startsWith('.klp.sym.')))].sort(),
    funcs: records(elf, '.init.klp_funcs', 24)
      .map(({ bytes, relas }) => `${text(elf, relas[0]!)},${bytes.readUInt32LE(16)} > ${relas[1]!.symbol.name}`)
      .sort(),
    imports: [
      ...new Set(
        elf.symbols
          .filter(({ section, binding, name }) => section === UNDEFINED && binding !== WEAK && name !== '')
          .map(({ name }) => name),
      ),
    ].sort(),
    code: all(sized(PLAIN_FUNC), body),
    data: all(
      sized(PLAIN_OBJECT).filter(
        ({ name }) =>
          !/^(_?_)?(bug_table|jump_table|ex_table|altinstructions|static_call_sites|annotate|discard)/.test(name),
      ),
      body,
    ),
    entries: Object.fromEntries(
      Object.entries(ENTRIES)
        .map(([name, size]) => [
          name,
          records(elf, name, size)
            .map(
              ({ bytes, relas, section }) =>
                `${bytes.toString('hex')} ${relas.map((rela) => `+${rela.offset % size} ${reference(elf, rela, section)}`).join(' ')}`,
            )
            .sort(),
        ])
        .filter(([, list]) => list!.length > 0),
    ),
    klpRelocs: Array.from({ length: elf.sectionCount }, (_, i) => i)
      .filter((i) => elf.sectionName(i).startsWith('__klp_relocs.'))
      .flatMap((i) =>
        records(elf, elf.sectionName(i), 24).map(
          ({ bytes, relas }) =>
            `${elf.sectionName(i)} ${place(elf, relas[0]!.symbol.section, relas[0]!.symbol.value + relas[0]!.addend)} ${TYPES[bytes.readUInt32LE(16)]} ${relas[1]!.symbol.name}${signed(relas[1]!.addend)}`,
        ),
      )
      .sort(),
    sections,
  };
}

interface Row {
  section: number;
  bytes: Buffer;
  relas: PlainRela[];
}

function records(elf: PlainElf, name: string, size: number): Row[] {
  return elf.sectionsNamed(name).flatMap((section) => {
    const content = elf.content(section);
    const relas = elf.relas(section);
    return Array.from({ length: content.length / size }, (_, i) => ({
      section,
      bytes: content.subarray(i * size, (i + 1) * size),
      relas: relas.filter(({ offset }) => Math.floor(offset / size) === i),
    }));
  });
}

/** Type and target; what lies at a place of a shared section is told by the symbol around it, or its text. */
function reference(elf: PlainElf, { type, symbol, addend }: PlainRela, from: number): string {
  if (symbol.section === UNDEFINED || symbol.section >= 0xff00) return `${TYPES[type]} ${symbol.name}${signed(addend)}`;
  const name = elf.sectionName(symbol.section);
  const bias = PC_RELATIVE.has(type) && elf.sectionName(from).startsWith('.text') ? 4 : 0;
  if (name.startsWith('.rodata.str'))
    return `${TYPES[type]} "${string(elf, symbol.section, symbol.value + addend + bias)}"`;
  return `${TYPES[type]} ${place(elf, symbol.section, symbol.value + addend + bias)}${bias === 0 ? '' : '-4'}`;
}

/** A place by the function or object around it, or the section's name. An entry of a table by what it says of code. */
function place(elf: PlainElf, section: number, offset: number): string {
  const name = elf.sectionName(section);
  const size = ENTRIES[name];
  if (size !== undefined) {
    const start = Math.floor(offset / size) * size;
    const site = elf.relas(section).find((rela) => rela.offset === start);
    return `the entry of ${name} for ${site === undefined ? 'nothing' : reference(elf, site, section)}${signed(offset - start)}`;
  }
  const around = elf.symbols.filter(
    (symbol) =>
      symbol.section === section &&
      (symbol.type === PLAIN_FUNC || symbol.type === PLAIN_OBJECT) &&
      symbol.name !== '' &&
      offset >= symbol.value &&
      offset <= symbol.value + symbol.size,
  );
  const best = around.sort(
    (a, b) =>
      Number(offset === a.value + a.size && a.size > 0) - Number(offset === b.value + b.size && b.size > 0) ||
      a.size - b.size,
  )[0];
  return best === undefined ? `${name}${signed(offset)}` : `${best.name}${signed(offset - best.value)}`;
}

function text(elf: PlainElf, { symbol, addend }: PlainRela): string {
  return string(elf, symbol.section, symbol.value + addend);
}

function string(elf: PlainElf, section: number, offset: number): string {
  const content = elf.content(section);
  return content.toString('latin1', offset, content.indexOf(0, offset));
}

function signed(value: number): string {
  return value === 0 ? '' : value < 0 ? `${value}` : `+${value}`;
}

/**
 * What two objects say differently, one line each: `- kind text` where only the first says it, `+ kind text` the second, and
 * `~ kind name 0x10-0x19` for the first and last byte in which two contents of one size differ.
 */
export function differences(theirs: KlpContent, ours: KlpContent): string[] {
  const lines: string[] = [];
  const compare = (kind: string, a: readonly string[], b: readonly string[]): void => {
    const rest = [...b];
    for (const item of a) {
      const at = rest.indexOf(item);
      if (at >= 0) rest.splice(at, 1);
      else lines.push(`- ${kind} ${item}`);
    }
    for (const item of rest) lines.push(`+ ${kind} ${item}`);
  };
  compare('symbol', theirs.klpSymbols, ours.klpSymbols);
  compare('func', theirs.funcs, ours.funcs);
  compare('import', theirs.imports, ours.imports);
  compare('klp', theirs.klpRelocs, ours.klpRelocs);
  for (const name of union(theirs.entries, ours.entries))
    compare(name, theirs.entries[name] ?? [], ours.entries[name] ?? []);
  for (const kind of ['code', 'data'] as const) {
    compare(kind, Object.keys(theirs[kind]), Object.keys(ours[kind]));
    for (const [name, a] of Object.entries(theirs[kind])) {
      const b = ours[kind][name];
      if (b === undefined) continue;
      compare(name, a.references, b.references);
      const [x, y] = [Buffer.from(a.bytes, 'hex'), Buffer.from(b.bytes, 'hex')];
      const at = x.findIndex((byte, i) => byte !== y[i]);
      if (x.length !== y.length) lines.push(`~ ${kind} ${name} ${x.length} bytes, ${y.length} bytes`);
      else if (at >= 0)
        lines.push(
          `~ ${kind} ${name} 0x${at.toString(16)}-0x${x.findLastIndex((byte, i) => byte !== y[i]).toString(16)}`,
        );
    }
  }
  for (const name of union(theirs.sections, ours.sections))
    if (theirs.sections[name] !== ours.sections[name])
      lines.push(`~ section ${name} ${theirs.sections[name] ?? 'none'}, ${ours.sections[name] ?? 'none'}`);
  return lines.sort();
}

function union(a: object, b: object): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
}
