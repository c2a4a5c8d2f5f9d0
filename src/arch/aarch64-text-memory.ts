/** A64 loads and stores of general registers as text. */
import { fields, register } from './aarch64-text-parts';

/** By size and operation: name, and whether the register is wide. */
const NAMES: ReadonlyArray<ReadonlyArray<readonly [name: string, wide: boolean] | undefined>> = [
  [
    ['strb', false],
    ['ldrb', false],
    ['ldrsb', true],
    ['ldrsb', false],
  ],
  [
    ['strh', false],
    ['ldrh', false],
    ['ldrsh', true],
    ['ldrsh', false],
  ],
  [['str', false], ['ldr', false], ['ldrsw', true], undefined],
  [['str', true], ['ldr', true], ['prfm', true], undefined],
];

export function memoryText(word: number): string | undefined {
  // Vectors are not told apart.
  if ((word & 0x04000000) !== 0) return undefined;
  if ((word & 0x3a000000) === 0x28000000) return pairText(word);
  if ((word & 0x3f000000) === 0x08000000) return orderedText(word);
  if ((word & 0x3a000000) !== 0x38000000) return undefined;
  if ((word & 0x3f200c00) === 0x38200000) return atomicText(word);
  const { d, n, m } = fields(word);
  const size = word >>> 30;
  const [name, wide] = NAMES[size]![(word >>> 22) & 3] ?? [];
  if (name === undefined || name === 'prfm') return undefined;
  const [to, base] = [register(d, wide!), register(n, true, true)];
  if ((word & 0x01000000) !== 0) {
    const by = ((word >>> 10) & 0xfff) << size;
    return `${name} ${to}, [${base}${by === 0 ? '' : `, #${by}`}]`;
  }
  const by = (word << 11) >> 23;
  const kind = (word >>> 10) & 3;
  if ((word & 0x00200000) === 0) {
    if (kind === 1) return `${name} ${to}, [${base}], #${by}`;
    if (kind === 3) return `${name} ${to}, [${base}, #${by}]!`;
    return `${kind === 0 ? name.replace('r', 'ur') : name.replace('r', 'tr')} ${to}, [${base}${by === 0 ? '' : `, #${by}`}]`;
  }
  if (kind !== 2) return undefined;
  const extend = { 2: 'uxtw', 3: 'lsl', 6: 'sxtw', 7: 'sxtx' }[(word >>> 13) & 7];
  if (extend === undefined) return undefined;
  const scaled = (word & 0x1000) !== 0;
  const index = register(m, ((word >>> 13) & 1) === 1);
  const how = scaled ? `, ${extend} #${size}` : extend === 'lsl' ? '' : `, ${extend}`;
  return `${name} ${to}, [${base}, ${index}${how}]`;
}

const ATOMICS = ['add', 'clr', 'eor', 'set', 'smax', 'smin', 'umax', 'umin'];

/** Read-modify-write in one instruction (LSE), and loads that acquire as a processor of one owner needs (`ldapr`). */
function atomicText(word: number): string | undefined {
  const { d, n, m } = fields(word);
  const size = word >>> 30;
  const letter = ['b', 'h', '', ''][size]!;
  const order = `${(word & 0x00800000) === 0 ? '' : 'a'}${(word & 0x00400000) === 0 ? '' : 'l'}`;
  const [wide, base] = [size === 3, register(n, true, true)];
  const operation = (word >>> 12) & 15;
  if (operation === 12 && m === 31) return order === 'a' ? `ldapr${letter} ${register(d, wide)}, [${base}]` : undefined;
  if (operation === 8) return `swp${order}${letter} ${register(m, wide)}, ${register(d, wide)}, [${base}]`;
  const name = operation < 8 ? ATOMICS[operation]! : undefined;
  if (name === undefined) return undefined;
  if (d === 31 && !order.includes('a')) return `st${name}${order}${letter} ${register(m, wide)}, [${base}]`;
  return `ld${name}${order}${letter} ${register(m, wide)}, ${register(d, wide)}, [${base}]`;
}

function pairText(word: number): string | undefined {
  const { d, n, a } = fields(word);
  const size = word >>> 30;
  if (size === 3 || (size === 1 && (word & 0x00400000) === 0)) return undefined;
  const wide = size !== 0;
  const load = (word & 0x00400000) !== 0;
  const by = ((word << 10) >> 25) * (size === 2 ? 8 : 4);
  const name = size === 1 ? 'ldpsw' : load ? 'ldp' : 'stp';
  const registers = `${register(d, wide)}, ${register(a, wide)}`;
  const base = register(n, true, true);
  switch ((word >>> 23) & 3) {
    case 1:
      return `${name} ${registers}, [${base}], #${by}`;
    case 2:
      return `${name} ${registers}, [${base}${by === 0 ? '' : `, #${by}`}]`;
    case 3:
      return `${name} ${registers}, [${base}, #${by}]!`;
    default:
      return undefined;
  }
}

/** Loads and stores in order, exclusive ones; by size a letter behind the name. */
function orderedText(word: number): string | undefined {
  const { d, n, a, m } = fields(word);
  const size = word >>> 30;
  const letter = ['b', 'h', '', ''][size]!;
  const [exclusive, load, ordered] = [(word & 0x00800000) === 0, (word & 0x00400000) !== 0, (word & 0x8000) !== 0];
  if ((word & 0x00200000) !== 0 || a !== 31) return undefined;
  const to = register(d, size === 3);
  const base = register(n, true, true);
  if (!exclusive) return ordered && m === 31 ? `${load ? 'ldar' : 'stlr'}${letter} ${to}, [${base}]` : undefined;
  if (load) return m === 31 ? `ld${ordered ? 'a' : ''}xr${letter} ${to}, [${base}]` : undefined;
  return `st${ordered ? 'l' : ''}xr${letter} ${register(m, false)}, ${to}, [${base}]`;
}
