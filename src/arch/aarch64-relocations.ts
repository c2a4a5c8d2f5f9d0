import type { ModuleRules } from './module-rules';

/** Relocation types (ELF for the Arm 64-bit Architecture, "Static AArch64 relocations"). */
export const ABS64 = 257;
const ABS32 = 258;
const ABS16 = 259;
const PREL64 = 260;
const PREL32 = 261;
const PREL16 = 262;
export const LD_PREL_LO19 = 273;
export const ADR_PREL_LO21 = 274;
export const ADR_PREL_PG_HI21 = 275;
export const ADR_PREL_PG_HI21_NC = 276;
export const ADD_ABS_LO12_NC = 277;
export const LDST32_ABS_LO12_NC = 285;
export const LDST64_ABS_LO12_NC = 286;
export const TSTBR14 = 279;
export const CONDBR19 = 280;
export const JUMP26 = 282;
export const CALL26 = 283;
/** Of the slot that holds an address: its page, and a load from it. */
export const ADR_GOT_PAGE = 311;
export const LD64_GOT_LO12_NC = 312;

/** Types whose field is an instruction's: MOVW_*, the literals and pages, the low bits, the branches. */
const INSTRUCTIONS = [
  263, 264, 265, 266, 267, 268, 269, 270, 271, 272, 273, 274, 275, 276, 277, 278, 279, 280, 282, 283, 284, 285, 286,
  287, 288, 289, 290, 291, 292, 293, 299,
];

/** arch/arm64/kernel/module.c, 6.12 and 7.3 alike: no GOT, no PLT32. */
export const AARCH64_MODULES: ModuleRules = {
  klpBuild: false,
  fields: new Map([
    [ABS64, 8],
    [PREL64, 8],
    [ABS32, 4],
    [PREL32, 4],
    [ABS16, 2],
    [PREL16, 2],
    ...INSTRUCTIONS.map((type): [number, number] => [type, 4]),
  ]),
  cleared: false,
  relative32: PREL32,
  numbers: new Set([ABS32, ABS16]),
  nearby: new Set([LD_PREL_LO19, ADR_PREL_LO21, TSTBR14, CONDBR19, PREL16]),
  lateWords: true,
};

/** What takes a function's address that is kept: pages and low bits of it, pointers, distances. */
export const POINTERS: ReadonlySet<number> = new Set([
  ABS64,
  PREL64,
  PREL32,
  ADR_PREL_LO21,
  ADR_PREL_PG_HI21,
  ADR_PREL_PG_HI21_NC,
  ADD_ABS_LO12_NC,
  ADR_GOT_PAGE,
  LD64_GOT_LO12_NC,
]);
