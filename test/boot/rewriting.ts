import type { MemoryRead } from './report';
import type { Site } from './sites';

/** Where returns and indirect calls go to before and after the kernel rewrote them; arrays have a thunk of 32 bytes for each of 16 registers. */
export const THUNKS = [
  '__x86_return_thunk',
  'call_depth_return_thunk',
  '__x86_indirect_thunk_array',
  '__x86_indirect_call_thunk_array',
  '__x86_indirect_jump_thunk_array',
] as const;

const ARRAY_BYTES = 16n * 32n;

/**
 * What stands at a site in memory: `ret`, `register` (a call or jump by register), `call THUNK` or `jmp THUNK`; at an alternative
 * `rewritten` or `unchanged`; at a preamble `unchanged`, `rehashed` or `FineIBT`. Anything else as its bytes.
 */
export function rewriting(site: Site, { address, bytes }: MemoryRead, symbols: ReadonlyMap<string, bigint>): string {
  if (!/^([0-9a-f]{2})+$/.test(bytes)) return `unreadable at ${address.toString(16)}`;
  if (site.kind === 'alternative') return bytes === site.before ? 'unchanged' : 'rewritten';
  const code = Buffer.from(bytes, 'hex');
  if (site.kind === 'preamble') {
    if (bytes === site.before) return 'unchanged';
    return bytes.startsWith('f30f1efa') ? 'FineIBT' : (code[0]! & 0xf8) === 0xb8 ? 'rehashed' : bytes;
  }
  let at = 0;
  // FineIBT's paranoid callers: jne back into the ud2 before it, then the call.
  if (code[0] === 0x75 && code[1] === 0xfd) at += 2;
  // Segment prefixes, which fill the place of a longer instruction.
  while (code[at] === 0x2e) at++;
  if (code[at] === 0xc3) return 'ret';
  if (code[at] === 0xff || (code[at] === 0x41 && code[at + 1] === 0xff)) return 'register';
  if ((code[at] !== 0xe8 && code[at] !== 0xe9) || at + 5 > code.length) return bytes;
  const target = address + BigInt(at + 5 + code.readInt32LE(at + 1));
  const thunk = THUNKS.find((name) => {
    const start = symbols.get(name);
    return (
      start !== undefined &&
      (name.endsWith('_array') ? target >= start && target < start + ARRAY_BYTES : target === start)
    );
  });
  return `${code[at] === 0xe8 ? 'call' : 'jmp'} ${thunk ?? target.toString(16)}`;
}
