import { KlpflowError } from '../../diagnostics';

const TAB = 0x09;
const NEWLINE = 0x0a;

/**
 * Who exports a symbol, by Module.symvers as create-diff-object reads it: the module's column differs from kernel to kernel (a
 * namespace may stand before or behind it), so it is where the first line about vmlinux has that word.
 *
 * A unit asks for a few dozen of 30,000 names, so the text is searched and not taken apart.
 */
export class ParentExports {
  private readonly owners = new Map<string, string | undefined>();
  private readonly column: number;

  /** @throws KlpflowError `malformed-symvers` for a text that never names vmlinux */
  constructor(
    private readonly text: Buffer,
    path: string,
  ) {
    const at = text.indexOf('\tvmlinux');
    if (at < 0 && text.some((byte) => byte > 0x20))
      throw new KlpflowError(
        'malformed-symvers',
        `${path}: no line names vmlinux, so nothing tells which column holds the module`,
        { object: path },
      );
    this.column = at < 0 ? 0 : this.line(at).findLastIndex((field) => field.startsWith('vmlinux'));
  }

  /** `vmlinux` or a module's run-time name; undefined where nobody exports the name. */
  ownerOf(name: string): string | undefined {
    if (!this.owners.has(name)) this.owners.set(name, this.find(name));
    return this.owners.get(name);
  }

  private find(name: string): string | undefined {
    const wanted = Buffer.from(`\t${name}\t`);
    for (let at = this.text.indexOf(wanted); at >= 0; at = this.text.indexOf(wanted, at + 1)) {
      const fields = this.line(at);
      const owner = fields[1] === name ? fields[this.column] : undefined;
      if (owner !== undefined)
        return owner
          .slice(owner.lastIndexOf('/') + 1)
          .replaceAll('-', '_')
          .trimEnd();
    }
    return undefined;
  }

  /** The fields of the line that an offset lies in. */
  private line(at: number): string[] {
    const { text } = this;
    const start = text.lastIndexOf(NEWLINE, at) + 1;
    const end = text.indexOf(NEWLINE, at);
    return text.toString('utf8', start, end < 0 ? text.length : end).split(String.fromCharCode(TAB));
  }
}
