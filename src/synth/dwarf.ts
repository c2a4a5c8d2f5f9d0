/** The forms of DWARF 5 that synthetic debug information uses: every record has a fixed size. */

/** Strings that all units share: the producer, a type, names of variables. */
export const WORDS = [
  'synthetic',
  'long int',
  'dev',
  'flags',
  'inode',
  'ret',
  'len',
  'page',
  'skb',
  'i',
  'node',
  'offset',
  'state',
  'ctx',
  'err',
  'lock',
] as const;

/** Bytes of a DIE by its abbreviation. */
export const DIE = { unit: 11, base: 7, subprogram: 24, variable: 14 } as const;
const HEADER = 12;
/** What a unit has in front of its functions: header, unit, one type. */
export const CU_SIZE = HEADER + DIE.unit + DIE.base;

const TAG = { base: 0x24, unit: 0x11, subprogram: 0x2e, variable: 0x34 } as const;
const AT = {
  location: 0x02,
  name: 0x03,
  byteSize: 0x0b,
  stmtList: 0x10,
  lowPc: 0x11,
  highPc: 0x12,
  language: 0x13,
  producer: 0x25,
  declFile: 0x3a,
  declLine: 0x3b,
  encoding: 0x3e,
  type: 0x49,
} as const;
const FORM = {
  addr: 0x01,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  data1: 0x0b,
  strp: 0x0e,
  ref4: 0x13,
  secOffset: 0x17,
  exprloc: 0x18,
} as const;

/** Unit (1), base type (2), function (3), variable (4). */
export function abbreviations(): Uint8Array {
  const entry = (
    code: number,
    tag: number,
    children: boolean,
    ...attributes: ReadonlyArray<readonly [number, number]>
  ): number[] => [code, tag, children ? 1 : 0, ...attributes.flat(), 0, 0];
  return Uint8Array.from([
    ...entry(1, TAG.unit, true, [AT.producer, FORM.strp], [AT.language, FORM.data2], [AT.stmtList, FORM.secOffset]),
    ...entry(2, TAG.base, false, [AT.name, FORM.strp], [AT.byteSize, FORM.data1], [AT.encoding, FORM.data1]),
    ...entry(
      3,
      TAG.subprogram,
      true,
      [AT.name, FORM.strp],
      [AT.declFile, FORM.data1],
      [AT.declLine, FORM.data2],
      [AT.lowPc, FORM.addr],
      [AT.highPc, FORM.data8],
    ),
    ...entry(
      4,
      TAG.variable,
      false,
      [AT.name, FORM.strp],
      [AT.declFile, FORM.data1],
      [AT.declLine, FORM.data2],
      [AT.type, FORM.ref4],
      [AT.location, FORM.exprloc],
    ),
    0,
  ]);
}

/** Writes a unit's header, its own DIE and that of its one type; what relocations fill stays 0. */
export function unitHeader(view: DataView, size: number): void {
  view.setUint32(0, size - 4, true);
  view.setUint16(4, 5, true);
  view.setUint8(6, 1); // DW_UT_compile
  view.setUint8(7, 8);
  view.setUint8(HEADER, 1);
  view.setUint16(HEADER + 5, 0x1d, true); // DW_LANG_C11
  const base = HEADER + DIE.unit;
  view.setUint8(base, 2);
  view.setUint8(base + 5, 8);
  view.setUint8(base + 6, 5); // DW_ATE_signed
}

const LINE_BASE = -5;
const LINE_RANGE = 14;
const OPCODE_BASE = 13;
const STANDARD_LENGTHS = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
const TEXT = [...'src\0'].map((letter) => letter.charCodeAt(0));
/** After the two lengths: what the line program's header holds. One folder and one file, named in place. */
const LINE_FIELDS = [
  1,
  1,
  1,
  LINE_BASE & 0xff,
  LINE_RANGE,
  OPCODE_BASE,
  ...STANDARD_LENGTHS,
  1,
  1,
  8,
  1,
  ...TEXT,
  2,
  1,
  8,
  2,
  11,
  1,
  ...TEXT,
  0,
];

/** Bytes of a line program's header, and of what a function has besides its rows: set_address, advance_pc, end_sequence. */
export const LINE = { header: 12 + LINE_FIELDS.length, sequence: 16, firstSpecial: OPCODE_BASE } as const;

export function lineHeader(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length - 4, true);
  view.setUint16(4, 5, true);
  bytes[6] = 8;
  view.setUint32(8, LINE_FIELDS.length, true);
  bytes.set(LINE_FIELDS, 12);
}
