import { defineConfig } from 'vitest/config';

/** From patches to booted livepatches of a stock kernel, half an hour and 5 GB: `npm run test:e2e`, not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/e2e/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
