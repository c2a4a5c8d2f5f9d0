import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

const SHDR = 64;
const RELA = 24;

/**
 * Copies an object so that a debugging section of `gap` bytes, a hole on disk, stands in the middle: symbols, their names and
 * the section table lie behind it, where a file that is written with DWARF has them, and debugging relas behind that.
 */
export function withDebugHole(source: string, target: string, gap: number): void {
  const file = readFileSync(source);
  const sections = Array.from({ length: file.readUInt16LE(60) }, (_, i) =>
    Buffer.from(file.subarray(Number(file.readBigUInt64LE(40)) + i * SHDR).subarray(0, SHDR)),
  );
  const names = sections[file.readUInt16LE(62)]!;
  const symtab = sections.findIndex((header) => header.readUInt32LE(4) === 2);
  const content = (header: Buffer): Buffer =>
    file.subarray(Number(header.readBigUInt64LE(24)), Number(header.readBigUInt64LE(24) + header.readBigUInt64LE(32)));
  const text = Buffer.concat([content(names), Buffer.from('.debug_info\0.rela.debug_info\0')]);
  const fd = openSync(target, 'w');
  let end = Math.ceil(file.length / 4096) * 4096 + gap;
  const put = (header: Buffer, bytes: Buffer): void => {
    end = Math.ceil(end / 16) * 16;
    writeSync(fd, bytes, 0, bytes.length, end);
    header.writeBigUInt64LE(BigInt(end), 24);
    header.writeBigUInt64LE(BigInt(bytes.length), 32);
    end += bytes.length;
  };
  const fresh = (
    name: number,
    type: number,
    fields: { flags?: number; offset?: number; size?: number; link?: number; info?: number; entsize?: number },
  ): Buffer => {
    const header = Buffer.alloc(SHDR);
    header.writeUInt32LE(content(names).length + name, 0);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(fields.flags ?? 0), 8);
    header.writeBigUInt64LE(BigInt(fields.offset ?? 0), 24);
    header.writeBigUInt64LE(BigInt(fields.size ?? 0), 32);
    header.writeUInt32LE(fields.link ?? 0, 40);
    header.writeUInt32LE(fields.info ?? 0, 44);
    header.writeBigUInt64LE(1n, 48);
    header.writeBigUInt64LE(BigInt(fields.entsize ?? 0), 56);
    return header;
  };
  const debug = fresh(0, 1, { offset: Math.ceil(file.length / 4096) * 4096, size: gap });
  const relas = fresh('.debug_info\0'.length, 4, { flags: 0x40, link: symtab, info: sections.length, entsize: RELA });
  writeSync(fd, file, 0, file.length, 0);
  const table = sections[symtab]!;
  const strings = sections[table.readUInt32LE(40)]!;
  put(table, content(table));
  put(strings, content(strings));
  put(names, text);
  put(relas, Buffer.alloc(RELA * 1000));
  const headers = Buffer.concat([...sections, debug, relas]);
  const start = Math.ceil(end / 16) * 16;
  writeSync(fd, headers, 0, headers.length, start);
  const header = Buffer.from(file.subarray(0, 64));
  header.writeBigUInt64LE(BigInt(start), 40);
  header.writeUInt16LE(sections.length + 2, 60);
  writeSync(fd, header, 0, 64, 0);
  closeSync(fd);
}
