/**
 * Branch filters of .xz: before compressing, the distances of branches were made addresses, which repeat more often. `bytes`
 * is a whole block, so addresses count from its start.
 */
export function undoBranches(filter: number, bytes: Uint8Array): void {
  if (filter === X86) undoX86(bytes);
  else if (filter === ARM64) undoArm64(bytes);
  else throw new RangeError(`filter ${filter} of .xz is not known`);
}

const X86 = 4;
const ARM64 = 0xa;

/** Whether a byte can be the highest of a near distance. */
const isSign = (byte: number): boolean => byte === 0 || byte === 0xff;

/** By what the last three bytes were: whether a branch may begin here, and which byte of its distance an earlier one reaches into. */
const MAY_BEGIN = [true, true, true, false, true, false, false, false];
const OVERLAP = [0, 1, 2, 2, 3, 3, 3, 3];

/** E8 and E9 with a distance whose top byte is a sign; one within the distance of another was left alone by the encoder's own rule. */
function undoX86(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let last = -1;
  let mask = 0;
  for (let at = 0; at < bytes.length - 4; at++) {
    if ((bytes[at]! & 0xfe) !== 0xe8) continue;
    const since = at - last;
    last = at;
    mask = since > 3 ? 0 : (mask << (since - 1)) & 7;
    if (mask !== 0 && (!MAY_BEGIN[mask]! || isSign(bytes[at + 4 - OVERLAP[mask]!]!))) {
      mask = ((mask << 1) | 1) & 0xff;
      continue;
    }
    if (!isSign(bytes[at + 4]!)) {
      mask = ((mask << 1) | 1) & 0xff;
      continue;
    }
    let address = view.getUint32(at + 1, true);
    let distance = (address - (at + 5)) >>> 0;
    for (const shift = OVERLAP[mask]! * 8; mask !== 0 && isSign((distance >>> (24 - shift)) & 0xff); ) {
      address = (distance ^ (2 ** (32 - shift) - 1)) >>> 0;
      distance = (address - (at + 5)) >>> 0;
    }
    // 25 bits with their sign.
    view.setInt32(at + 1, (distance << 7) >> 7, true);
    at += 4;
  }
}

/** BL has a distance of 26 bits in words; ADRP one of 21 bits in pages, of which those within 512 MiB were made addresses. */
function undoArm64(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const word = view.getUint32(at, true);
    if (word >>> 26 === 0x25) {
      view.setUint32(at, (0x94000000 | ((word - (at >>> 2)) & 0x03ffffff)) >>> 0, true);
    } else if ((word & 0x9f000000) >>> 0 === 0x90000000) {
      const pages = ((word >>> 29) & 3) | ((word >>> 3) & 0x001ffffc);
      if (((pages + 0x00020000) & 0x001c0000) !== 0) continue;
      const near = (pages - (at >>> 12)) >>> 0;
      const field = ((near & 3) << 29) | ((near & 0x0003fffc) << 3) | ((0 - (near & 0x00020000)) & 0x00e00000);
      view.setUint32(at, ((word & 0x9000001f) | field) >>> 0, true);
    }
  }
}
