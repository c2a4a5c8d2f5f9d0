/**
 * checksum: what `objtool klp checksum` stores of each function and object, a hash of its content that does not depend on where it and its
 * neighbours lie.
 *
 * Two steps, so that the second can run on many threads: `CheckedObject.read` fills the columns of one object, `hash` the checksums of a
 * range of its symbols.
 */
import { hasKlpBuild } from '../../arch';
import { KlpflowError } from '../../diagnostics';
import type { ElfObject, Offset, SectionIndex, SymbolIndex } from '../../elf';
import type { SharedMemory } from '../scan';
import { checksumCode, type ChecksumFunctions, type ToldPart } from './code';
import { behindFile, copyLoaded, grow, newMemory } from './memory';
import { inSlices } from '../scan/identity';

export interface ChecksumRecords {
  /** A symbol's address (zero, the relocation's business) and its checksum, 16 bytes each. */
  content: Uint8Array;
  /** The relocations. */
  relas: Uint8Array;
}

/** Bytes of one checksum, and of its relocation. */
const RECORD = 16;
const RELA = 24;

/** What threads take in turn, some 6 ms each of a kernel. */
const SHARDS = 64;
/** Words that threads share: how many shards are taken, and done. */
const TAKEN = 0;
const DONE = 1;

/** @throws KlpflowError `unsupported-object` */
export function checkProcessor(elf: ElfObject): void {
  if (!hasKlpBuild(elf.machine) || !elf.little)
    throw new KlpflowError(
      'unsupported-object',
      `${elf.path}: checksums are made for x86-64 alone, not for processor ${elf.machine}`,
      { object: elf.path, offset: 18 },
    );
}

/** An object in memory that threads share, with what its checksums need. */
export class CheckedObject {
  private told: ToldPart = () => undefined;
  private readonly code: ChecksumFunctions;

  private constructor(
    readonly elf: ElfObject,
    readonly memory: SharedMemory,
  ) {
    this.code = checksumCode(elf, memory, (...part) => this.told(...part));
  }

  /** Copies the object into memory and fills its columns. @throws KlpflowError `unsupported-object`, `malformed-elf`, `input-too-large` */
  static read(elf: ElfObject): CheckedObject {
    checkProcessor(elf);
    const memory = newMemory();
    const object = new CheckedObject(elf, memory);
    const { code } = object;
    const end = code.layOut() >>> 0;
    grow(memory, behindFile(elf) - memory.buffer.byteLength, elf.path);
    grow(memory, end - behindFile(elf), elf.path);
    copyLoaded(elf, memory);
    const { symbolCount: symbols, sectionCount: sections } = elf;
    inSlices(1, sections, code.classifySections);
    code.placeCode(elf.bytes.length);
    inSlices(1, symbols, code.readSymbols);
    code.startPlaced();
    inSlices(1, symbols, code.placeSymbols);
    inSlices(1, sections, code.orderPlaced);
    code.joinColdParts();
    inSlices(1, sections, code.reachPlaced);
    code.readAlternatives();
    return object;
  }

  /** What another thread has read. */
  static share(elf: ElfObject, memory: SharedMemory): CheckedObject {
    const object = new CheckedObject(elf, memory);
    object.code.layOut();
    object.code.shareAlternatives();
    return object;
  }

  /** Fills in the checksums of symbols [from, to). @throws KlpflowError `malformed-elf` */
  hash(from: number, to: number): void {
    inSlices(from, to, this.code.hashSymbols);
  }

  /** As `hash` of all symbols, a shard at a time of those that nobody else has taken. @throws KlpflowError `malformed-elf` */
  async hashShards(): Promise<void> {
    const { symbolCount } = this.elf;
    const bound = (shard: number): number => Math.max(1, Math.floor((symbolCount * shard) / SHARDS));
    for (let shard = this.take(); shard < SHARDS; shard = this.take()) {
      this.hash(bound(shard), bound(shard + 1));
      Atomics.add(this.shards, DONE, 1);
      // What the others say arrives in between.
      await new Promise(setImmediate);
    }
  }

  /** Whether all shards are done, whoever took them. */
  get isDone(): boolean {
    return Atomics.load(this.shards, DONE) === SHARDS;
  }

  /** The checksums that are filled in, by symbol. They lie in the object's memory. */
  records(): ChecksumRecords {
    const { code, memory, elf } = this;
    const count = code.countChecksums();
    const content = grow(memory, count * RECORD, elf.path);
    const relas = grow(memory, count * RELA, elf.path);
    code.writeChecksums(content, relas);
    return {
      content: new Uint8Array(memory.buffer, content, count * RECORD),
      relas: new Uint8Array(memory.buffer, relas, count * RELA),
    };
  }

  /** The functions and objects of a name. */
  named(name: string): number[] {
    const bytes = Buffer.from(name);
    const at = grow(this.memory, bytes.length + 1, this.elf.path);
    new Uint8Array(this.memory.buffer).set(bytes, at);
    const found: number[] = [];
    for (let symbol = 1; ; symbol++) {
      symbol = this.code.nextNamed(symbol, at, bytes.length);
      if (symbol >= this.elf.symbolCount) return found;
      found.push(symbol);
    }
  }

  /** Reports how the checksum of a symbol comes about, part by part. */
  tell(symbol: SymbolIndex, told: ToldPart): void {
    this.told = told;
    this.code.reportSymbol(symbol);
  }

  private take(): number {
    return Atomics.add(this.shards, TAKEN, 1);
  }

  private get shards(): Int32Array {
    return new Int32Array(this.memory.buffer, this.code.shards.value, 2);
  }

  /** The symbol that covers a place, 0 for none. */
  covering(section: SectionIndex, offset: Offset): number {
    return this.code.covering(section, offset);
  }
}
