/**
 * Lengths of x86-64 instructions, by the opcode maps of Intel's manual (volume 2, appendix A): prefixes, opcode, ModRM, displacement,
 * immediate. What an instruction does is nobody's business here, so bytes that are none are read as if they were.
 */
const MODRM: u8 = 1;
const IMM8: u8 = 2;
const IMM16: u8 = 4;
/** 32 bits, 16 after an operand-size prefix. */
const IMMZ: u8 = 8;
/** 32 bits always. */
const IMM32: u8 = 16;
/** Others, each by itself. */
const OTHER: u8 = 32;
const PREFIX: u8 = 64;
const REX: u8 = 128;

const MI: u8 = MODRM | IMM8;
const MZ: u8 = MODRM | IMMZ;

// biome-ignore format: a row for each high digit
const ONE = memory.data<u8>([
  1, 1, 1, 1, 2, 8, 0, 0, 1, 1, 1, 1, 2, 8, 0, 32,
  1, 1, 1, 1, 2, 8, 0, 0, 1, 1, 1, 1, 2, 8, 0, 0,
  1, 1, 1, 1, 2, 8, 64, 0, 1, 1, 1, 1, 2, 8, 64, 0,
  1, 1, 1, 1, 2, 8, 64, 0, 1, 1, 1, 1, 2, 8, 64, 0,
  128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 32, 1, 64, 64, 64, 64, 8, 9, 2, 3, 0, 0, 0, 0,
  2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
  3, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  32, 32, 32, 32, 0, 0, 0, 0, 2, 8, 0, 0, 0, 0, 0, 0,
  2, 2, 2, 2, 2, 2, 2, 2, 32, 32, 32, 32, 32, 32, 32, 32,
  3, 3, 4, 0, 32, 32, 3, 9, 6, 0, 4, 0, 0, 2, 0, 0,
  1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
  2, 2, 2, 2, 2, 2, 2, 2, 16, 16, 0, 2, 0, 0, 0, 0,
  64, 0, 64, 64, 0, 0, 32, 32, 0, 0, 0, 0, 0, 0, 1, 1,
]);

/** Behind 0f. */
// biome-ignore format: a row for each high digit
const TWO = memory.data<u8>([
  1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  32, 32, 32, 32, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
  0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 32, 0, 0, 0, 0, 0,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  3, 3, 3, 3, 1, 1, 1, 0, 32, 1, 1, 1, 1, 1, 1, 1,
  16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  0, 0, 0, 1, 3, 1, 1, 1, 0, 0, 0, 1, 3, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1,
  1, 1, 3, 1, 3, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
]);

/** Opcode maps of VEX and EVEX prefixes. */
const MAP_0F: u32 = 1;
const MAP_0F3A: u32 = 3;
const MAP_7: u32 = 7;

/** Length of the instruction at `start`, of which `room` bytes are there: no more than those. The bytes behind them may be anything. */
export function lengthAt(start: usize, room: u32): u32 {
  let at = start;
  const most = start + min(room, 14);
  let narrow = false;
  let wide = false;
  let repeated = false;
  let byte = load<u8>(at);
  let form = load<u8>(ONE + byte);
  while (form >= PREFIX && at < most) {
    if (form == REX) wide = (byte & 8) != 0;
    else {
      wide = false;
      if (byte == 0x66) narrow = true;
      if (byte == 0xf2) repeated = true;
    }
    byte = load<u8>(++at);
    form = load<u8>(ONE + byte);
  }
  at++;
  if (byte == 0x0f) {
    byte = load<u8>(at++);
    form = load<u8>(TWO + byte);
    if (form == OTHER) {
      // vmread, extrq and insertq; a map of its own; or a register whose ModRM byte has no displacement (mov to and from %cr0).
      if (byte == 0x78) form = narrow || repeated ? MODRM | IMM16 : MODRM;
      else {
        at++;
        form = byte == 0x38 ? MODRM : byte == 0x3a ? MI : 0;
      }
    }
  } else if (form == OTHER) {
    if (byte == 0xc5 || byte == 0xc4 || byte == 0x62) {
      let map = MAP_0F;
      if (byte == 0xc4) map = load<u8>(at) & 0x1f;
      if (byte == 0x62) map = load<u8>(at) & 7;
      at += byte == 0xc5 ? 1 : byte == 0xc4 ? 2 : 3;
      const opcode = load<u8>(at++);
      if (map == MAP_0F) form = opcode == 0x77 ? 0 : load<u8>(TWO + opcode) == MI ? MI : MODRM;
      else form = map == MAP_0F3A ? MI : map == MAP_7 ? MODRM | IMM32 : MODRM;
    } else if (byte >= 0xf6) form = (load<u8>(at) & 0x30) != 0 ? MODRM : byte == 0xf6 ? MI : MZ;
    else if (byte >= 0xb8) {
      at += wide ? 8 : narrow ? 2 : 4;
      form = 0;
    } else {
      // mov between %al or %rax and an address; 67 before it makes that one short.
      at += isShort(start, at) ? 4 : 8;
      form = 0;
    }
  }
  if ((form & MODRM) != 0) {
    const modrm = load<u8>(at++);
    const mod = modrm >>> 6;
    const rm = modrm & 7;
    if (mod != 3) {
      if (rm == 4) {
        if (mod == 0 && (load<u8>(at) & 7) == 5) at += 4;
        at++;
      } else if (mod == 0 && rm == 5) at += 4;
      at += mod == 1 ? 1 : mod == 2 ? 4 : 0;
    }
  }
  if ((form & IMM8) != 0) at++;
  if ((form & IMM16) != 0) at += 2;
  if ((form & IMMZ) != 0) at += narrow && !wide ? 2 : 4;
  if ((form & IMM32) != 0) at += 4;
  return min(<u32>(at - start), room);
}

function isShort(start: usize, end: usize): bool {
  for (let at = start; at < end; at++) if (load<u8>(at) == 0x67) return true;
  return false;
}

/** Bytes of the distance that the direct branch or call at `start` ends in; 0 for other instructions. */
export function distanceBytes(start: usize, length: u32): u32 {
  let at = start;
  const end = start + length;
  while (at < end && load<u8>(ONE + load<u8>(at)) >= PREFIX) at++;
  const rest = <u32>(end - at);
  const byte = load<u8>(at);
  if (byte == 0xe8 || byte == 0xe9) return rest == 5 ? 4 : 0;
  if ((byte & 0xf0) == 0x70 || byte == 0xeb || (byte & 0xfc) == 0xe0) return rest == 2 ? 1 : 0;
  return byte == 0x0f && (load<u8>(at, 1) & 0xf0) == 0x80 && rest == 6 ? 4 : 0;
}

/** `jmp *r/m`, behind any prefixes. */
export function isIndirectJump(start: usize, length: u32): bool {
  let at = start;
  const end = start + length;
  while (at < end && (load<u8>(at) == 0x3e || load<u8>(at) == 0x66 || (load<u8>(at) & 0xf0) == 0x40)) at++;
  return at + 1 < end && load<u8>(at) == 0xff && (load<u8>(at, 1) & 0x38) == 0x20;
}

/** `jmp rel8` or `jmp rel32`. */
export function isDirectJump(start: usize): bool {
  const byte = load<u8>(start);
  return byte == 0xeb || byte == 0xe9;
}
