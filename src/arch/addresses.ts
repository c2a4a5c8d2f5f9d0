/** What an instruction does with a variable that it names: `address` is taken and anything may be done with it; `unknown` where the decoder does not tell. */
export type Access = 'read' | 'write' | 'address' | 'unknown';

/**
 * Where code leaves an address that it took: in a variable, in memory that a pointer leads to, with a function that it calls, with its
 * caller, or wherever, where the decoder does not tell.
 */
export type Kept = 'variable' | 'memory' | 'call' | 'return' | 'unknown';

/** A place outside that code jumps to or calls: one that returns to the caller (`__x86_return_thunk`), that keeps nothing of its arguments, or any other. */
export type Callee = 'return' | 'harmless' | 'any';

/** Offsets are from the start of the code. */
export interface AddressQuery {
  /** Fields that name what the address is taken of. */
  fields: ReadonlySet<number>;
  /** Every field with a relocation: a branch that has one leaves the code. */
  callees: ReadonlyMap<number, Callee>;
  /** What is read at such an address is one, too. */
  deep: boolean;
}
