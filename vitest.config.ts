import { defineConfig } from 'vitest/config'

const ABUSE = ['test/suite/abuse.test.ts']

export default defineConfig({
  test: {
    globalSetup: ['test/support/temporary-setup.ts', 'test/support/global-setup.ts', 'test/support/programs-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 3,
    // Test files share the loaded modules of their worker: loading them anew cost more than most files do.
    isolate: false,
    // Machines may be busy.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'service',
          include: ['test/service/**/*.test.ts'],
          globalSetup: ['test/support/minio-setup.ts', 'test/support/rgw-setup.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['test/suite/**/*.test.ts'],
          exclude: ABUSE,
          globalSetup: ['test/support/minio-setup.ts', 'test/support/prepared-data-setup.ts'],
          testTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'abuse',
          include: ABUSE,
          globalSetup: ['test/support/prepared-data-setup.ts'],
          // After all others: it measures how long an honest client waits.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
