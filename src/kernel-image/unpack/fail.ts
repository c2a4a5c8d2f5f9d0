import { KlpflowError } from '../../diagnostics';

/** @throws KlpflowError always: `malformed-image`, that the file is damaged at an offset */
export function malformed(path: string, offset: number, expected: string): never {
  throw new KlpflowError('malformed-image', `${path}: at offset ${offset}: ${expected}`, { object: path, offset });
}

/** @throws KlpflowError always: `unusable-image`, that the file is whole and yet does not say what is needed */
export function unusable(path: string, why: string): never {
  throw new KlpflowError('unusable-image', `${path} ${why}`, { object: path });
}
