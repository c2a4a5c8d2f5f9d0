import { xxh3 } from './xxh3';

/** The chunks of one symbol's identity, one behind the other: what is hashed does not depend on where one ends. */
export class Chunks {
  private buffer = Buffer.alloc(1 << 16);
  private length = 0;
  /** Told after each chunk. */
  onChunk: () => void = () => undefined;

  reset(): void {
    this.length = 0;
  }

  bytes(content: Uint8Array, start = 0, end = content.length): void {
    const part = content.subarray(start, end);
    this.reserve(part.length);
    this.buffer.set(part, this.length);
    this.length += part.length;
    this.onChunk();
  }

  u32(value: number): void {
    this.reserve(4);
    this.length = this.buffer.writeUInt32LE(value >>> 0, this.length);
    this.onChunk();
  }

  /** A 64-bit number, negative ones in two's complement. */
  u64(value: number): void {
    this.putU64(value);
    this.onChunk();
  }

  /** A chunk that names its place first. */
  at(offset: number, content: () => void): void {
    this.putU64(offset);
    content();
  }

  digest(): bigint {
    return xxh3(this.buffer, this.length);
  }

  private putU64(value: number): void {
    this.reserve(8);
    this.buffer.writeUInt32LE(value >>> 0, this.length);
    this.length = this.buffer.writeUInt32LE(Math.floor(value / 0x100000000) >>> 0, this.length + 4);
  }

  private reserve(more: number): void {
    if (this.length + more <= this.buffer.length) return;
    const larger = Buffer.alloc(Math.max(this.length + more, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}
