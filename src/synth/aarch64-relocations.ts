/** The relocations that kernels of arm64 have in code and data (ELF for the Arm 64-bit Architecture, 5.7). */
export const R_AARCH64 = {
  ABS64: 257,
  ABS32: 258,
  PREL64: 260,
  PREL32: 261,
  ADR_PREL_PG_HI21: 275,
  ADD_ABS_LO12_NC: 277,
  LDST8_ABS_LO12_NC: 278,
  JUMP26: 282,
  CALL26: 283,
  LDST16_ABS_LO12_NC: 284,
  LDST32_ABS_LO12_NC: 285,
  LDST64_ABS_LO12_NC: 286,
  LDST128_ABS_LO12_NC: 299,
} as const;
