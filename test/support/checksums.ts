import { RELA_SIZE, type ElfObject } from '../../src/elf';
import { CheckedObject } from '../../src/stages/checksum';

/** The checksums of an object, in the order of its symbols. */
export function checksumsOf(elf: ElfObject): Array<{ symbol: number; checksum: bigint }> {
  const object = CheckedObject.read(elf);
  object.hash(1, elf.symbolCount);
  const [content, relas] = Object.values(object.records()).map((bytes) => new DataView(bytes.slice().buffer));
  return Array.from({ length: relas!.byteLength / RELA_SIZE }, (_, i) => ({
    symbol: relas!.getUint32(i * RELA_SIZE + 12, true),
    checksum: content!.getBigUint64(i * 16 + 8, true),
  }));
}
