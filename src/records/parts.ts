import { Writer } from 'protobufjs/minimal';

/** A generated message type, as far as parts need it. */
interface Encoder {
  encode(message: never): { finish(): Uint8Array };
}

const ONE = Uint8Array.of(0);

/**
 * A message as parts that follow one another: the columns in it stay where they are. A writer would copy each twice, and
 * the tables of a kernel are 18 MB. Each field is written by its own type, so numbers and tags are the schema's.
 */
export function partsOf(type: Encoder, fields: Record<string, number | Uint8Array>): Uint8Array[] {
  const encode = (name: string, value: number | Uint8Array): Uint8Array =>
    type.encode({ [name]: value } as never).finish();
  return Object.entries(fields).flatMap(([name, value]) => {
    if (typeof value === 'number') return encode(name, value);
    if (value.length === 0) return [];
    // The tag of a field with one byte, before its length and that byte.
    return [encode(name, ONE).subarray(0, -2), new Writer().uint32(value.length).finish(), value];
  });
}
