import type { Disassembler, Instruction } from '../../../arch';
import { SHF_EXECINSTR, SHT_NOBITS, STT_FUNC, STT_NOTYPE, type ElfObject } from '../../../elf';
import type { ChecksumSymbols } from './symbols';

/** A section's instructions, decoded from its start, and the symbol that each belongs to. */
export interface DecodedSection {
  section: number;
  bytes: Uint8Array;
  instructions: Instruction[];
  /** Symbol of each instruction, 0 for none (padding). */
  owner: Uint32Array;
  /** Number of the instruction that starts at a byte, plus one; 0 for none. */
  startsAt: Uint32Array;
}

/** One instruction: its section and its number there. */
export interface Site {
  code: DecodedSection;
  index: number;
}

/** Small sections that stay decoded. Functions come one after another, most of them in sections of their own; common sections (`.init.text`) are needed again and again. */
const KEPT = 256;
const COMMON_BYTES = 1 << 16;

/** Instructions of an object, decoded a section at a time as they are asked for. */
export class Code {
  private readonly kept = new Map<number, DecodedSection>();
  private readonly common = new Map<number, DecodedSection>();

  constructor(
    private readonly elf: ElfObject,
    private readonly symbols: ChecksumSymbols,
    private readonly disassembler: Disassembler,
  ) {}

  /** The instruction that starts at a place, if one does. */
  at(section: number, offset: number): Site | undefined {
    if (
      section === 0 ||
      (this.elf.sectionFlags(section) & SHF_EXECINSTR) === 0 ||
      this.elf.type(section) === SHT_NOBITS
    )
      return undefined;
    const code = this.decoded(section);
    const index = (code.startsAt[offset] ?? 0) - 1;
    return index < 0 ? undefined : { code, index };
  }

  /** The function that an instruction belongs to; 0 where it belongs to none, or to a symbol that is no function. */
  functionOf({ code, index }: Site): number {
    const owner = code.owner[index]!;
    return this.symbols.type(owner) === STT_FUNC ? owner : 0;
  }

  /** A function's instructions: from its start for as long as they belong to it, then those of its cold part. */
  *of(func: number): Generator<Site> {
    const { symbols } = this;
    let site = this.at(symbols.section[func]!, symbols.value(func));
    let inColdPart = false;
    while (site !== undefined) {
      yield site;
      const owner = this.functionOf(site);
      if (owner === 0) return;
      const next: Site = { code: site.code, index: site.index + 1 };
      if (next.index < site.code.instructions.length && this.functionOf(next) === owner) {
        site = next;
        continue;
      }
      const cold = symbols.coldPart[owner]!;
      if (cold === 0 || inColdPart) return;
      inColdPart = true;
      site = this.at(symbols.section[cold]!, symbols.value(cold));
    }
  }

  private decoded(section: number): DecodedSection {
    const common = this.common.get(section);
    if (common !== undefined) return common;
    const known = this.kept.get(section);
    if (known !== undefined) {
      // The section that was not asked for longest stands first, and goes first.
      this.kept.delete(section);
      this.kept.set(section, known);
      return known;
    }
    const bytes = this.elf.content(section);
    const instructions = this.disassembler.decode(bytes);
    const startsAt = new Uint32Array(bytes.length);
    instructions.forEach(({ offset }, i) => (startsAt[offset] = i + 1));
    const code = { section, bytes, instructions, owner: this.owners(section, instructions, startsAt), startsAt };
    if (bytes.length >= COMMON_BYTES) this.common.set(section, code);
    else {
      if (this.kept.size >= KEPT) this.kept.delete(this.kept.keys().next().value!);
      this.kept.set(section, code);
    }
    return code;
  }

  /** Functions and labels claim the instructions that start within them, later ones over earlier ones. */
  private owners(section: number, instructions: readonly Instruction[], startsAt: Uint32Array): Uint32Array {
    const { symbols } = this;
    const owner = new Uint32Array(instructions.length);
    for (const symbol of symbols.in(section)) {
      const type = symbols.type(symbol);
      if ((type !== STT_FUNC && type !== STT_NOTYPE) || symbols.canonical[symbol] !== symbol) continue;
      const first = (startsAt[symbols.value(symbol)] ?? 0) - 1;
      const end = symbols.value(symbol) + symbols.size(symbol);
      if (first < 0 || EMBEDDED.has(symbols.name(symbol))) continue;
      for (let i = first; i < instructions.length && instructions[i]!.offset < end; i++) owner[i] = symbol;
    }
    return owner;
  }
}

/** Functions that start within another's instruction (mitigations for Zen). */
const EMBEDDED = new Set(['retbleed_return_thunk', 'srso_alias_safe_ret', 'srso_safe_ret']);
