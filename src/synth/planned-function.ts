import { body, type Body, type Context } from './body';
import type { Op, SynthFunction } from './model';
import { valueAt } from './shape/distribution';
import type { Traits } from './traits';

/** Below this many bytes a function has no frame. */
const SMALLEST_FRAME = 40;

/** A function whose body is made when it is first asked for: most of a unit's are not needed again once they are laid out. */
export class PlannedFunction implements SynthFunction {
  readonly name: string;
  readonly alias: string | null;
  line: number;
  readonly scope: SynthFunction['scope'];
  readonly placed: SynthFunction['placed'];
  readonly exported: boolean;
  readonly addressed: boolean;
  readonly unused: boolean;
  readonly traced: boolean;
  readonly hashed: boolean;
  readonly sealed: boolean;
  readonly endbr: boolean;
  readonly leaf: boolean;
  private readonly size: number;
  private made: Body | undefined;

  constructor(
    private readonly context: Context,
    traits: Traits,
    { name, alias, line }: { name: string; alias: string | null; line: number },
  ) {
    this.name = name;
    this.alias = alias;
    this.line = line;
    this.scope = traits.scope;
    this.placed = traits.placed;
    this.exported = traits.exported;
    this.addressed = traits.addressed;
    this.unused = traits.unused;
    this.traced = traits.traced;
    this.hashed = traits.hashed;
    this.sealed = traits.sealed;
    this.endbr = traits.scope === 'global' || traits.addressTaken || traits.placed === 'init';
    this.size = valueAt(context.plan.shape.functions.size, traits.rank);
    this.leaf = this.size < SMALLEST_FRAME;
  }

  get ops(): Op[] {
    return this.body.ops;
  }

  get unwinds(): number {
    return this.body.unwinds;
  }

  get annotations(): number {
    return this.body.annotations;
  }

  private get body(): Body {
    const {
      context: { self, unit },
      size,
      traced,
      endbr,
      leaf,
    } = this;
    return (this.made ??= body(this.context, { size, traced, endbr, leaf, rank: unit[self.ordinal]!.rank }));
  }
}
