import type { FunctionRef, SynthFunction } from './model';
import type { KernelPlan } from './plan';
import { Random } from './random';

/** What others may rely on without making the function's unit. */
export interface Traits {
  scope: SynthFunction['scope'];
  placed: SynthFunction['placed'];
  traced: boolean;
  /** Its address is taken by the unit's table of operations or by code. */
  addressTaken: boolean;
  exported: boolean;
  addressed: boolean;
  /** Nothing refers to it: exported for modules. */
  unused: boolean;
  sealed: boolean;
  /** The hash of its type stands before it. */
  hashed: boolean;
  /** Share of functions that are smaller: says how long it is. */
  rank: number;
}

/** Share of initcalls among what is in `.init.text`: each comes with a stub, a function of its own. */
export const INITCALLS = 0.4;

/** Of 100 functions: those whose address a table or code takes, and global ones that nothing refers to. */
const ADDRESS_TAKEN = 25;

const UNUSED = 6;

/** Share of the local functions whose address nothing takes that have a hash all the same: kernels have more address-taken ones than units here. */
function hashedLocals({ shape: { typeHashes = 0, functions } }: KernelPlan): number {
  const { local, global } = functions.per1000;
  const taken = (local * ADDRESS_TAKEN) / 100;
  return (typeHashes - global - taken) / Math.max(local - taken, 1);
}

export function traitsOf(plan: KernelPlan, at: FunctionRef): Traits {
  const {
    functions: { per1000, placed },
    sites,
    typeHashes = 0,
  } = plan.shape;
  const random = new Random(plan.seed, at.unit, at.ordinal, 5);
  const init = random.chance1000(placed.init / (1 + INITCALLS));
  // All of .init.text is local here: the other functions have the rest of the local ones.
  const roll = random.share() * (1000 - placed.init);
  const scope =
    init || roll < per1000.local - placed.init
      ? 'local'
      : roll < per1000.local - placed.init + per1000.promoted
        ? 'promoted'
        : 'global';
  const global = scope === 'global';
  const unused = global && random.chance(UNUSED);
  const exportedShare = Math.min(1, sites.exports / Math.max(per1000.global, 1));
  const exported = unused || (global && random.share() < exportedShare);
  // Initcalls are kept by addresses, too, as is what assembler code and modules use.
  const keptShare =
    (sites.addressable - sites.exports - placed.init * INITCALLS) / Math.max(per1000.global - sites.exports, 1);
  const addressed = exported || (global && random.share() < keptShare);
  const addressTaken = !init && !unused && random.chance(ADDRESS_TAKEN);
  const sealable = (per1000.global / 1000) * (1 - exportedShare) * (1 - ADDRESS_TAKEN / 100);
  const sealed =
    global && !exported && !addressTaken && random.share() < sites.seals / 1000 / Math.max(sealable, 0.001);
  const shared = random.share() < placed.shared / (1000 - placed.init);
  const rank = random.share();
  const traced = !init && random.share() < sites.ftrace / (1000 - placed.init);
  return {
    scope,
    unused,
    exported,
    addressed,
    addressTaken,
    sealed,
    placed: init ? 'init' : plan.singleText ? 'text' : plan.isMerged(at.unit) ? 'unit' : shared ? 'shared' : 'alone',
    rank,
    traced,
    hashed:
      global || (!init && addressTaken) ? typeHashes > 0 : scope === 'local' && random.share() < hashedLocals(plan),
  };
}
