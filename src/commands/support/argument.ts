import { Args } from '@oclif/core';

/** An argument. oclif takes one that is not given from standard input: `status` in a loop over the lines of a file took the next line for ORIG. */
export const argument = Args.custom<string>({ ignoreStdin: true, parse: async (input) => input });
