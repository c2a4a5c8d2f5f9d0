const NONE = 0xffffffff;

/** Where names lie: `bytes[start[i] .. start[i] + length[i])`. */
export interface Names {
  bytes: Uint8Array;
  start: Uint32Array;
  length: Uint16Array;
}

/** Buckets: a power of two near the number of symbols of a kernel. */
const BUCKETS = 2 ** 16;

/**
 * Finds the members of a list by name: 300,000 symbols of a kernel, of which a few dozen are ever asked for, so building
 * must be cheap. A chain of members a bucket, in list order; only the members of one bucket are ever compared.
 */
export class NameIndex {
  private readonly heads = new Uint32Array(BUCKETS).fill(NONE);
  private readonly following: Uint32Array;

  /** Indexes members 0 to `count` - 1, without those that `leaveOut` says. */
  constructor(
    private readonly names: Names,
    count: number,
    leaveOut?: (member: number) => boolean,
  ) {
    const { bytes, start, length } = names;
    const { heads } = this;
    this.following = new Uint32Array(count).fill(NONE);
    for (let member = count - 1; member >= 0; member--) {
      if (leaveOut?.(member) === true) continue;
      const bucket = bucketOf(bytes, start[member]!, length[member]!);
      this.following[member] = heads[bucket]!;
      heads[bucket] = member;
    }
  }

  /** The first member of this name, -1 if there is none. The name is `length` bytes of any buffer. */
  first(bytes: Uint8Array, start: number, length: number): number {
    return this.seek(this.heads[bucketOf(bytes, start, length)]!, bytes, start, length);
  }

  /** The member of the same name that comes behind `member`, -1 at the end. */
  next(member: number): number {
    const { bytes, start, length } = this.names;
    return this.seek(this.following[member]!, bytes, start[member]!, length[member]!);
  }

  /** All members of this name in list order. */
  all(bytes: Uint8Array, start: number, length: number): number[] {
    const members: number[] = [];
    for (let member = this.first(bytes, start, length); member >= 0; member = this.next(member)) members.push(member);
    return members;
  }

  /** The first of a chain from `member` on that has the name. */
  private seek(member: number, bytes: Uint8Array, start: number, length: number): number {
    while (member !== NONE && !(this.names.length[member] === length && this.equal(member, bytes, start, length)))
      member = this.following[member]!;
    return member === NONE ? -1 : member;
  }

  private equal(member: number, bytes: Uint8Array, start: number, length: number): boolean {
    const own = this.names.bytes;
    const at = this.names.start[member]!;
    for (let i = 0; i < length; i++) if (own[at + i] !== bytes[start + i]) return false;
    return true;
  }
}

/**
 * By nine of a name's bytes and its length: reading them all takes as long as the rest of a kernel's listing. The last ones tell most names apart, the
 * middle ones those that end in a unit's suffix (`foo.llvm.15127320784203441172`) or begin with `__pfx_`.
 */
function bucketOf(bytes: Uint8Array, start: number, length: number): number {
  const end = start + length;
  const third = (length * 0x5556) >>> 16;
  let hash = length;
  for (let i = 1; i <= 4 && i <= length; i++) hash = Math.imul(hash ^ bytes[end - i]!, 0x01000193);
  for (let i = third; i < third + 4 && i < length; i++) hash = Math.imul(hash ^ bytes[start + i]!, 0x01000193);
  if (length > 0) hash = Math.imul(hash ^ bytes[start]!, 0x01000193);
  return (hash ^ (hash >>> 15)) & (BUCKETS - 1);
}
