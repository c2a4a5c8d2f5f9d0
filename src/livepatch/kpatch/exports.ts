import { KlpflowError } from '../../diagnostics';

/**
 * Who exports a symbol, by Module.symvers as create-diff-object reads it: the module's column differs from kernel to kernel (a
 * namespace may stand before or behind it), so it is where the first line about vmlinux has that word.
 */
export class ParentExports {
  private readonly owners: ReadonlyMap<string, string>;

  /** @throws KlpflowError `malformed-symvers` for a text that never names vmlinux */
  constructor(text: string, path: string) {
    const lines = text.split('\n').filter((line) => line !== '').map((line) => line.split('\t'));
    const sample = lines.find((fields) => fields.some((field) => field.startsWith('vmlinux')));
    if (sample === undefined && lines.length > 0) throw new KlpflowError('malformed-symvers', `${path}: no line names vmlinux, so nothing tells which column holds the module`, { object: path });
    const column = sample === undefined ? 0 : sample.findLastIndex((field) => field.startsWith('vmlinux'));
    const owners = new Map<string, string>();
    for (const fields of lines) {
      const [name, owner] = [fields[1], fields[column]];
      if (name === undefined || owner === undefined) continue;
      owners.set(name, owner.slice(owner.lastIndexOf('/') + 1).replaceAll('-', '_').trimEnd());
    }
    this.owners = owners;
  }

  /** `vmlinux` or a module's run-time name; undefined where nobody exports the name. */
  ownerOf(name: string): string | undefined {
    return this.owners.get(name);
  }
}
