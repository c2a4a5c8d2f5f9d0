import { EM_AARCH64, EM_X86_64, R_X86_64_PLT32 } from '../../elf/constants';
import { R_AARCH64 } from '../aarch64-relocations';
import { SITE_TABLES, type ReferenceKind, type Shape, type SiteKind } from './types';

/** What a measurement goes by that differs by processor. */
export interface ShapeRules {
  /** What the shape says of it. */
  said: Pick<Shape, 'processor'>;
  /** What a symbol is that is known by its name. */
  named(name: string): ReferenceKind | undefined;
  /** Relocations of calls. */
  calls: readonly number[];
  /** Those that only complete an address that another one begins. */
  completing: readonly number[];
  /** Tables of places of code. */
  tables: Readonly<Record<SiteKind, string>>;
  /** The hash of a function's type is data in front of it, as mapping symbols tell. */
  hashesAreData: boolean;
}

/** By e_machine. */
export const SHAPE_RULES: Readonly<Record<number, ShapeRules>> = {
  [EM_X86_64]: {
    // Shapes did not say so before there were others.
    said: {},
    named: (name) => {
      if (name === '__fentry__') return 'fentry';
      if (name === '__x86_return_thunk') return 'returnThunk';
      return name.startsWith('__x86_indirect_thunk_') ? 'retpoline' : undefined;
    },
    calls: [R_X86_64_PLT32],
    completing: [],
    tables: SITE_TABLES,
    hashesAreData: false,
  },
  [EM_AARCH64]: {
    said: { processor: 'aarch64' },
    named: () => undefined,
    calls: [R_AARCH64.CALL26, R_AARCH64.JUMP26],
    completing: [
      R_AARCH64.ADD_ABS_LO12_NC,
      R_AARCH64.LDST8_ABS_LO12_NC,
      R_AARCH64.LDST16_ABS_LO12_NC,
      R_AARCH64.LDST32_ABS_LO12_NC,
      R_AARCH64.LDST64_ABS_LO12_NC,
      R_AARCH64.LDST128_ABS_LO12_NC,
    ],
    tables: { ...SITE_TABLES, ftrace: '__patchable_function_entries' },
    hashesAreData: true,
  },
};
