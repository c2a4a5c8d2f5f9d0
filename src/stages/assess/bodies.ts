import { namesOf, originOf, sameContent, type Pairing } from '../correlate';

/**
 * Which body of PATCHED takes the place of which body of ORIG.
 *
 * A compiler folds equal functions into one body with several names (78 in Debian's 6.12), and aliases are that by intent. What redirects
 * the body redirects all of its names, so it may be redirected only to what all of them are in PATCHED. Where PATCHED tells the names
 * apart, one body at most inherits the address; the others are reached by callers that are taken along.
 */
export class Bodies {
  /** By ORIG body with several twins: the one that inherits its address, 0 where it stays. */
  private readonly heirs = new Map<number, number>();

  /** `changed` are pairs of canonical functions that differ; where all of several did, the address is for one that `mustInherit`, as some of its callers cannot be taken along. */
  constructor(
    private readonly pairing: Pairing,
    changed: ReadonlyArray<{ orig: number; patched: number }>,
    mustInherit: (patched: number) => boolean,
  ) {
    const byBody = new Map<number, number[]>();
    for (const { orig, patched } of changed) byBody.set(orig, [...(byBody.get(orig) ?? []), patched]);
    for (const [body, differing] of byBody) {
      const twins = this.twinsOf(body);
      if (twins.length < 2) continue;
      // Who did not change goes on with ORIG's code.
      this.heirs.set(body, twins.some((twin) => !differing.includes(twin)) ? 0 : (twins.find(mustInherit) ?? 0));
    }
  }

  /** The bodies of PATCHED that the names of an ORIG body have. */
  twinsOf(orig: number): number[] {
    const { orig: table, patched, twin } = this.pairing;
    return [...new Set(namesOf(table, orig).map((name) => patched.canonical[twin[name]!]!))].filter(
      (symbol) => symbol !== 0,
    );
  }

  /** The bodies of ORIG that the names of a PATCHED body had: several where two became one. */
  originsOf(patched: number): number[] {
    const { orig, patched: table, origin } = this.pairing;
    return [...new Set(namesOf(table, patched).map((name) => orig.canonical[origin[name]!]!))].filter(
      (symbol) => symbol !== 0,
    );
  }

  /** Whether an address of ORIG may be redirected to a body of PATCHED: it is what all names at the address are. */
  mayInherit(orig: number, patched: number): boolean {
    const heir = this.heirs.get(orig);
    return heir === undefined ? this.twinsOf(orig).length < 2 : heir === patched;
  }

  /** Whether ORIG has an equal body under another of its names, so that no copy of it is needed. */
  hasEqual(patched: number): boolean {
    const body = originOf(this.pairing, patched);
    return this.originsOf(patched).length > 1 && sameContent(this.pairing.orig, body, this.pairing.patched, patched);
  }
}
