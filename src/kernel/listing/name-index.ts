const NONE = 0xffffffff;

/** Where names lie: `bytes[start[i] .. start[i] + length[i])`. */
export interface Names {
  bytes: Uint8Array;
  start: Uint32Array;
  length: Uint16Array;
}

/**
 * Finds the members of a list by name: 150,000 symbols of a kernel, of which a few dozen are ever asked for, so building
 * must be cheap. An open-addressed table of first members; members of one name form a chain in list order.
 */
export class NameIndex {
  private readonly slots: Uint32Array;
  private readonly following: Uint32Array;

  /** Indexes members 0 to `count` - 1, without those that `leaveOut` says. */
  constructor(
    private readonly names: Names,
    count: number,
    leaveOut?: (member: number) => boolean,
  ) {
    this.slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(4, count * 2)))).fill(NONE);
    this.following = new Uint32Array(count).fill(NONE);
    for (let member = count - 1; member >= 0; member--) {
      if (leaveOut?.(member) === true) continue;
      const slot = this.slot(names.bytes, names.start[member]!, names.length[member]!);
      this.following[member] = this.slots[slot]!;
      this.slots[slot] = member;
    }
  }

  /** The first member of this name, -1 if there is none. The name is `length` bytes of any buffer. */
  first(bytes: Uint8Array, start: number, length: number): number {
    const member = this.slots[this.slot(bytes, start, length)]!;
    return member === NONE ? -1 : member;
  }

  /** The member of the same name that comes behind `member`, -1 at the end. */
  next(member: number): number {
    const next = this.following[member]!;
    return next === NONE ? -1 : next;
  }

  /** All members of this name in list order. */
  all(bytes: Uint8Array, start: number, length: number): number[] {
    const members: number[] = [];
    for (let member = this.first(bytes, start, length); member >= 0; member = this.next(member)) members.push(member);
    return members;
  }

  /** The slot of a name: that of its first member, or the free one where it would stand. */
  private slot(bytes: Uint8Array, start: number, length: number): number {
    let hash = 0x811c9dc5;
    const end = start + length;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    const mask = this.slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (let member = this.slots[slot]!; member !== NONE; member = this.slots[slot]!) {
      if (this.names.length[member] === length && this.equal(this.names.start[member]!, bytes, start, end)) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private equal(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.names.bytes;
    while (start < end && own[at] === bytes[start]) {
      at++;
      start++;
    }
    return start === end;
  }
}
