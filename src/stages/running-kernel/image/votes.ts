/** What references say of where things are: an address each, of which all must agree. */
export class Votes {
  private readonly cast = new Map<number, Set<number>>();

  add(about: number, address: number): void {
    const known = this.cast.get(about);
    if (known === undefined) this.cast.set(about, new Set([address]));
    else known.add(address);
  }

  /** All that was voted on so far. */
  all(): Array<[about: number, addresses: ReadonlySet<number>]> {
    return [...this.cast];
  }

  /** The one address that was named; `several` where references disagree, undefined where there are none. */
  of(about: number): number | 'several' | undefined {
    const voted = this.cast.get(about);
    if (voted === undefined) return undefined;
    if (voted.size > 1) return 'several';
    const [only] = voted;
    return only;
  }
}
