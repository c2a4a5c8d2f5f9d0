import { SHF_MERGE, SHF_STRINGS } from '../elf/constants';
import type { ElfWriter, Rela } from '../elf/writer';
import type { Build } from './build';
import { Column } from './columns';
import { CU_SIZE, DIE, LINE, WORDS, abbreviations, lineHeader, unitHeader } from './dwarf';
import type { Places } from './places';
import { Random } from './random';

/** How much debug information a build has: what a function has on average. */
export interface DebugPlan {
  /** DIEs of variables; each has a name, so a relocation. */
  variables: number;
  /** Rows of the line table. */
  lines: number;
}

/** One function's share of a unit's debug information. */
interface Part {
  variables: number;
  lines: number;
}

/**
 * Adds DWARF 5 of a kind that compilers write: a compilation unit for each unit, a subprogram for each function with its variables,
 * line programs and address ranges, all with their relocations. Nothing is held but where each unit's part starts.
 */
export function addDebug(writer: ElfWriter, build: Build, plan: DebugPlan, places: Places): void {
  const info = new Sizes();
  const line = new Sizes();
  const ranges = new Sizes();
  const strings = new Sizes();
  const words = new TextEncoder().encode(`${WORDS.join('\0')}\0`);
  const wordAt = offsets(WORDS);
  strings.add(words.length, 0);
  for (let unit = 0; unit < build.units; unit++) {
    const parts = partsOf(build, plan, unit);
    const [variables, lines] = parts.reduce(([v, l], part) => [v + part.variables, l + part.lines], [0, 0]);
    const names = build.names(unit);
    info.add(
      CU_SIZE + parts.length * (DIE.subprogram + 1) + variables * DIE.variable + 1,
      4 + parts.length * 2 + variables,
    );
    line.add(LINE.header + parts.length * LINE.sequence + lines, parts.length);
    ranges.add(16 + 16 * parts.length + 16, 1 + parts.length);
    strings.add(
      names.reduce((sum, name) => sum + name.length + 1, 0),
      0,
    );
  }
  const bytes = (name: string, sizes: Sizes, chunks: () => Iterable<Uint8Array>, merged = false): number =>
    writer.section({
      name,
      ...(merged ? { flags: SHF_MERGE | SHF_STRINGS, entsize: 1 } : {}),
      content: { size: sizes.total, chunks },
    });
  const abbrev = writer.section({ name: '.debug_abbrev', content: abbreviations() });
  const str = writer.sectionSymbol(bytes('.debug_str', strings, () => stringBytes(build, words), true));
  const infoSection = bytes('.debug_info', info, () => infoBytes(build, plan, places, info));
  const lineSection = bytes('.debug_line', line, () => lineBytes(build, plan, line));
  const rangesSection = bytes('.debug_aranges', ranges, () => rangeBytes(build, places, ranges));
  const [abbrevSymbol, infoSymbol, lineSymbol] = [abbrev, infoSection, lineSection].map((section) =>
    writer.sectionSymbol(section),
  ) as [number, number, number];

  const { types } = build.processor;
  const row: Rela = { offset: 0, type: 0, symbol: 0, addend: 0 };
  const at = (offset: number, type: number, symbol: number, addend: number): Rela =>
    Object.assign(row, { offset, type, symbol, addend });
  writer.relas(infoSection, {
    count: info.relas,
    *rows() {
      for (let unit = 0; unit < build.units; unit++) {
        let offset = info.starts.get(unit);
        let name = strings.starts.get(unit + 1);
        yield at(offset + 8, types.offset, abbrevSymbol, 0);
        yield at(offset + 13, types.offset, str, 0);
        yield at(offset + 19, types.offset, lineSymbol, line.starts.get(unit));
        yield at(offset + 24, types.offset, str, wordAt[1]!);
        offset += CU_SIZE;
        const names = build.names(unit);
        const parts = partsOf(build, plan, unit);
        for (let ordinal = 0; ordinal < parts.length; ordinal++) {
          const place = places.functions.get(unit, ordinal);
          yield at(offset + 1, types.offset, str, name);
          yield at(offset + 8, types.address, place.symbol, place.addend);
          name += names[ordinal]!.length + 1;
          offset += DIE.subprogram;
          for (let left = parts[ordinal]!.variables; left > 0; left--, offset += DIE.variable)
            yield at(offset + 1, types.offset, str, wordAt[2 + (left % (WORDS.length - 2))]!);
          offset++;
        }
      }
    },
  });
  writer.relas(lineSection, {
    count: line.relas,
    *rows() {
      for (let unit = 0; unit < build.units; unit++) {
        let offset = line.starts.get(unit) + LINE.header;
        const parts = partsOf(build, plan, unit);
        for (let ordinal = 0; ordinal < parts.length; ordinal++) {
          const place = places.functions.get(unit, ordinal);
          yield at(offset + 3, types.address, place.symbol, place.addend);
          offset += LINE.sequence + parts[ordinal]!.lines;
        }
      }
    },
  });
  writer.relas(rangesSection, {
    count: ranges.relas,
    *rows() {
      for (let unit = 0; unit < build.units; unit++) {
        const offset = ranges.starts.get(unit);
        yield at(offset + 6, types.offset, infoSymbol, info.starts.get(unit));
        for (let ordinal = 0; ordinal < build.names(unit).length; ordinal++) {
          const place = places.functions.get(unit, ordinal);
          yield at(offset + 16 + 16 * ordinal, types.address, place.symbol, place.addend);
        }
      }
    },
  });
}

/** Bytes that `plan` adds to a file for each function, relocations included. */
export function debugBytesPerFunction(plan: DebugPlan): number {
  return (
    DIE.subprogram + 1 + 2 * 24 + plan.variables * (DIE.variable + 24) + LINE.sequence + 24 + plan.lines + 16 + 24 + 24
  );
}

/** Where each unit's part of a section starts, and how much there is of all. */
class Sizes {
  readonly starts = new Column();
  total = 0;
  relas = 0;
  private count = 0;

  add(bytes: number, relas: number): void {
    this.starts.set(this.count++, this.total);
    this.total += bytes;
    this.relas += relas;
  }

  size(unit: number): number {
    return (unit + 1 < this.count ? this.starts.get(unit + 1) : this.total) - this.starts.get(unit);
  }
}

function partsOf(build: Build, plan: DebugPlan, unit: number): Part[] {
  const random = new Random(build.seed, unit, 15);
  return build.names(unit).map(() => ({
    variables: random.around(plan.variables * 2 * random.share()),
    lines: random.around(plan.lines * 2 * random.share()),
  }));
}

function offsets(words: readonly string[]): number[] {
  let at = 0;
  return words.map((word) => (at += word.length + 1) - word.length - 1);
}

function* stringBytes(build: Build, words: Uint8Array): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  yield words;
  for (let unit = 0; unit < build.units; unit++)
    yield encoder.encode(
      build
        .names(unit)
        .map((name) => `${name}\0`)
        .join(''),
    );
}

function* infoBytes(build: Build, plan: DebugPlan, places: Places, sizes: Sizes): Generator<Uint8Array> {
  for (let unit = 0; unit < build.units; unit++) {
    const bytes = new Uint8Array(sizes.size(unit));
    const view = new DataView(bytes.buffer);
    unitHeader(view, bytes.length);
    let at = CU_SIZE;
    partsOf(build, plan, unit).forEach(({ variables }, ordinal) => {
      bytes[at] = 3;
      view.setUint16(at + 6, 20 + ordinal * 12, true);
      view.setUint32(at + 16, places.sizes.get(unit, ordinal), true);
      at += DIE.subprogram;
      for (let left = variables; left > 0; left--, at += DIE.variable) {
        bytes[at] = 4;
        view.setUint16(at + 6, 20 + ordinal * 12 + left, true);
        view.setUint32(at + 8, CU_SIZE - DIE.base, true);
        bytes.set([1, 0x50 + (left & 7)], at + 12);
      }
      at++;
    });
    yield bytes;
  }
}

function* lineBytes(build: Build, plan: DebugPlan, sizes: Sizes): Generator<Uint8Array> {
  for (let unit = 0; unit < build.units; unit++) {
    const bytes = new Uint8Array(sizes.size(unit));
    lineHeader(bytes);
    let at = LINE.header;
    for (const { lines } of partsOf(build, plan, unit)) {
      bytes.set([0, 9, 2], at);
      at += 11;
      for (let row = 0; row < lines; row++) bytes[at++] = LINE.firstSpecial + ((row * 29) % 200);
      bytes.set([2, 1, 0, 1, 1], at);
      at += 5;
    }
    yield bytes;
  }
}

function* rangeBytes(build: Build, places: Places, sizes: Sizes): Generator<Uint8Array> {
  for (let unit = 0; unit < build.units; unit++) {
    const bytes = new Uint8Array(sizes.size(unit));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length - 4, true);
    view.setUint16(4, 2, true);
    bytes[10] = 8;
    build.names(unit).forEach((_, ordinal) => view.setUint32(24 + 16 * ordinal, places.sizes.get(unit, ordinal), true));
    yield bytes;
  }
}
