import { defineConfig } from 'vitest/config';

/** Tests that boot kernels, minutes long: `npm run test:boot`, not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/boot/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 400_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
