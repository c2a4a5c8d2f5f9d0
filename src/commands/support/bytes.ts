import { KlpflowError } from '../../diagnostics';

const UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30 };

/** A number of bytes as people write it. @throws KlpflowError `usage`, naming the flag */
export function byteCount(flag: string, text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?$/i.exec(text) ?? [];
  if (digits === undefined) throw new KlpflowError('usage', `${flag} ${text}: a number of bytes, or 500M, 4G, 2Gi`);
  return Math.round(Number(digits) * UNITS[(unit ?? '').toLowerCase()]!);
}
